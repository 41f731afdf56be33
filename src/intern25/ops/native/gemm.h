// SPDX-License-Identifier: MIT
// Matrix products of few rows of activations with weights that were packed once.
//
// Weights (outputs, inputs) are stored in panels of 32 outputs: panel, input, output within the panel, zeros behind
// the last output. A tile of rows x 32 outputs stays in registers over the whole depth, so a panel is read once per
// tile from the first or second cache and the activations stay row-major as the rest of the graph has them.
// In bfloat16 panels output j is followed by output j + 16, so that one load gives two vectors with a shift and a mask.
#pragma once

#include "activation.h"
#include "inference.h"

namespace intern25 {
namespace {

constexpr int kPanel = 32;
constexpr int kHalfPanel = 16;

// Rows of a tile: as many as the registers hold next to the weights and one broadcast value.
template <class S>
constexpr int tile_rows() {
    return S::width == 16 ? 14 : S::width == 8 ? 3 : 2;
}

struct Rows {  // of a row-major matrix
    float* data;
    int64_t stride;
};

template <class S, int kVectors>
INTERN25_INLINE void load_panel(const float* from, typename S::Vector* to) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) to[v] = S::load(from + v * S::width);
}

template <class S, int kVectors>
INTERN25_INLINE void load_panel(const bfloat16* from, typename S::Vector* to) {
    constexpr int half = kHalfPanel / S::width;
#pragma GCC unroll 8
    for (int v = 0; v < half; ++v) {
        typename S::Vector second;
        S::load_pairs(from + 2 * v * S::width, S::width, to[v], second);
        if constexpr (kVectors > half) to[half + v] = second;
    }
}

// Where the rows of a tile stand at one step of the depth. Fourteen addresses do not fit in the registers, and fetching
// spilled ones takes the ports of the arithmetic. So each is one of two pointers plus one of three multiples of the
// stride, scaled as x86 addresses can be; the empty assembly keeps the compiler from undoing that.
class RowAddresses {
public:
    INTERN25_INLINE RowAddresses(const float* first, int64_t stride)
        : low_(reinterpret_cast<const char*>(first)), stride1_(stride * int64_t{sizeof(float)}) {
        high_ = low_ + 7 * stride1_;
        stride3_ = 3 * stride1_;
        stride5_ = 5 * stride1_;
    }

    INTERN25_INLINE float at(int row) const {
        const char* base = row < 7 ? low_ : high_;
        const int64_t offsets[] = {0, stride1_, 2 * stride1_, stride3_, 4 * stride1_, stride5_, 2 * stride3_};
        return *reinterpret_cast<const float*>(base + offsets[row % 7]);
    }

    INTERN25_INLINE void advance() {
        low_ += sizeof(float);
        high_ += sizeof(float);
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
        __asm__("" : "+r"(low_), "+r"(high_), "+r"(stride1_), "+r"(stride3_), "+r"(stride5_));
#endif
    }

private:
    const char* low_;
    const char* high_;
    int64_t stride1_, stride3_, stride5_;  // bytes
};

// Asks for one line of the panel after this one: hardware prefetching stops at every page.
template <class Weight>
INTERN25_INLINE void prefetch(const Weight* line) {
#if defined(__GNUC__)
    for (int i = 0; i < kPanel; i += 64 / static_cast<int>(sizeof(Weight))) __builtin_prefetch(line + i, 0, 2);
#else
    (void)line;
#endif
}

// One step of the depth: sums += a column of the rows times a line of the panel.
template <class S, class Weight, int kRows, int kVectors>
INTERN25_INLINE void multiply_step(RowAddresses& rows, const Weight* line,
                                   typename S::Vector (&sums)[kRows][kVectors]) {
    typename S::Vector weights[kVectors];
    load_panel<S, kVectors>(line, weights);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
        const typename S::Vector value = S::broadcast(rows.at(r));
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sums[r][v] = S::fma(value, weights[v], sums[r][v]);
    }
    rows.advance();
}

// One tile: c (or, with `accumulate`, c plus) a * panel + bias.
template <class S, class Weight, int kRows, int kVectors>
INTERN25_INLINE void multiply_tile(const float* a, int64_t stride_a, const Weight* panel, int64_t depth,
                                   const float* bias, Rows c, bool accumulate) {
    using Vector = typename S::Vector;
    Vector sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
        const Vector start = S::load(bias + v * S::width);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) sums[r][v] = start;
    }
    RowAddresses rows(a, stride_a);
    int64_t k = 0;
    if constexpr (S::width < 16) {  // a step of few rows is too short to hide the loop around it
        for (; k + 4 <= depth; k += 4) {
            for (int i = 0; i < 4; ++i) multiply_step<S>(rows, panel + (k + i) * kPanel, sums);
        }
    }
#pragma GCC unroll 1
    for (; k < depth; ++k) {
        prefetch(panel + (depth + k) * kPanel);
        multiply_step<S>(rows, panel + k * kPanel, sums);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
            float* to = c.data + r * c.stride + v * S::width;
            S::store(to, accumulate ? S::add(sums[r][v], S::load(to)) : sums[r][v]);
        }
    }
}

template <class S, class Weight, int kVectors, int kRows>
void multiply_rows(int64_t rows, const float* a, int64_t stride_a, const Weight* panel, int64_t depth,
                   const float* bias, Rows c, bool accumulate) {
    for (; rows >= kRows; rows -= kRows, a += kRows * stride_a, c.data += kRows * c.stride) {
        multiply_tile<S, Weight, kRows, kVectors>(a, stride_a, panel, depth, bias, c, accumulate);
    }
    if constexpr (kRows > 1) {
        if (rows > 0) {
            multiply_rows<S, Weight, kVectors, (kRows + 1) / 2>(rows, a, stride_a, panel, depth, bias, c, accumulate);
        }
    }
}

enum class Epilogue { kStore, kAccumulate, kGelu };

// Panels [first, last) of output = epilogue(input W^T + b). Writes whole half panels: up to 15 columns past the last.
template <class S, class Weight>
void multiply_panels(const Linear& linear, int64_t first, int64_t last, int64_t rows, Rows input, Rows output,
                     Epilogue epilogue) {
    constexpr int vectors = kPanel / S::width;
    for (int64_t p = first; p < last; ++p) {
        const Weight* panel = static_cast<const Weight*>(linear.weight) + p * kPanel * linear.inputs;
        const float* bias = linear.bias + p * kPanel;
        const Rows to = {output.data + p * kPanel, output.stride};
        const bool accumulate = epilogue == Epilogue::kAccumulate;
        const bool is_half = linear.outputs - p * kPanel <= kHalfPanel;
        if (is_half) {
            multiply_rows<S, Weight, vectors / 2, tile_rows<S>()>(rows, input.data, input.stride, panel,
                                                                  linear.inputs, bias, to, accumulate);
        } else {
            multiply_rows<S, Weight, vectors, tile_rows<S>()>(rows, input.data, input.stride, panel, linear.inputs,
                                                              bias, to, accumulate);
        }
        if (epilogue == Epilogue::kGelu) {
            for (int64_t r = 0; r < rows; ++r) gelu<S>(to.data + r * to.stride, is_half ? kHalfPanel : kPanel);
        }
    }
}

inline int64_t panels_of(const Linear& linear) { return (linear.outputs + kPanel - 1) / kPanel; }

template <class S>
void multiply_panels(const Linear& linear, int64_t first, int64_t last, int64_t rows, Rows input, Rows output,
                     Epilogue epilogue) {
    if (linear.weight_type == kBfloat16) {
        multiply_panels<S, bfloat16>(linear, first, last, rows, input, output, epilogue);
    } else {
        multiply_panels<S, float>(linear, first, last, rows, input, output, epilogue);
    }
}

// All outputs of a linear layer for some rows.
template <class S>
void apply_linear(const Linear& linear, int64_t rows, Rows input, Rows output, Epilogue epilogue) {
    multiply_panels<S>(linear, 0, panels_of(linear), rows, input, output, epilogue);
}

}  // namespace
}  // namespace intern25
