// SPDX-License-Identifier: MIT
// First phase of every DCNv3 kernel: from offsets and mask of one output pixel to memory indices and weights.
//
// A tap is one sampling point of one group. The taps of a block of groups are lanes: lane = group * K + point, as in
// memory, so coordinates, weights and softmax are computed a full vector at a time whatever K is.
#pragma once

#include <string.h>

#include "corners.h"
#include "dcnv3.h"
#include "exponential.h"

namespace intern25 {
namespace {

constexpr int64_t kGroupsInBlock = 16;  // 16 * K lanes fill whole vectors for any K
constexpr int64_t kMostLanesInVector = 16;

// Kernels for the published models' sizes (D = 16 and 32, K = 9) are worth their compile time on wide vectors only.
template <class S>
constexpr bool kHasKnownSizes = S::width >= 8;

inline int64_t image_size(const Dcnv3Call& call) {
    return call.height * call.width * call.groups * call.group_channels;
}

// Output pixels that are worth a thread: about ten microseconds of work.
inline int64_t pixels_per_thread(const Dcnv3Call& call) { return larger(1, 512 / call.groups); }

struct Pixel {
    int64_t image, y, x;

    // The output pixel number `index`, counted over the whole batch.
    static Pixel at(const Dcnv3Call& call, int64_t index) {
        const int64_t row = index / call.out_width;
        return {row / call.out_height, row % call.out_height, index % call.out_width};
    }
};

// What the output pixels of a call have in common.
template <class Real>
struct Sampling {
    int64_t height, width, channels, group_channels, points;
    Real scale;
    bool softmax;
    int64_t first_x, first_y, step_x, step_y;  // centre of the first output pixel's window, and the strides
    int64_t lanes;                             // of a full block, rounded up to whole vectors
    Real* grid_x;                              // [lanes] scaled position of each tap in the window, offset 0
    Real* grid_y;

    static Sampling of(const Dcnv3Call& call) {
        Sampling s;
        s.height = call.height;
        s.width = call.width;
        s.channels = call.groups * call.group_channels;
        s.group_channels = call.group_channels;
        s.points = call.kernel_height * call.kernel_width - call.remove_center;
        s.scale = static_cast<Real>(call.offset_scale);
        s.softmax = call.softmax != 0;
        s.first_x = (call.dilation_width * (call.kernel_width - 1)) / 2 - call.padding_width;
        s.first_y = (call.dilation_height * (call.kernel_height - 1)) / 2 - call.padding_height;
        s.step_x = call.stride_width;
        s.step_y = call.stride_height;
        const int64_t taps = smaller(kGroupsInBlock, call.groups) * s.points;
        s.lanes = divide_up(taps, kMostLanesInVector) * kMostLanesInVector;
        s.grid_x = nullptr;
        s.grid_y = nullptr;
        return s;
    }

    int64_t grid_bytes() const { return 2 * lanes * static_cast<int64_t>(sizeof(Real)); }

    // Fills the grid tables in memory given by the caller. Points go x slow, y fast.
    void place_grid(const Dcnv3Call& call, Real* memory) {
        grid_x = memory;
        grid_y = memory + lanes;
        memset(memory, 0, static_cast<size_t>(grid_bytes()));
        const int64_t centre_x = (call.dilation_width * (call.kernel_width - 1)) / 2;
        const int64_t centre_y = (call.dilation_height * (call.kernel_height - 1)) / 2;
        int64_t lane = 0;
        for (int64_t group = 0; group < smaller(kGroupsInBlock, call.groups); ++group) {
            for (int64_t i = 0; i < call.kernel_width; ++i) {
                for (int64_t j = 0; j < call.kernel_height; ++j) {
                    if (call.remove_center && i == call.kernel_width / 2 && j == call.kernel_height / 2) continue;
                    grid_x[lane] = static_cast<Real>((i * call.dilation_width - centre_x) * call.offset_scale);
                    grid_y[lane] = static_cast<Real>((j * call.dilation_height - centre_y) * call.offset_scale);
                    ++lane;
                }
            }
        }
    }
};

// The taps of one pixel and block of groups; every array has Sampling::lanes entries.
template <class Real>
struct Taps {
    int32_t* base;               // row * W + column of the patch's upper left corner
    int32_t* row;                // its row
    Real *w00, *w01, *w10, *w11;  // mask times corner weight, corner (row, column)
    Real* mask;                  // modulation; with softmax before the division by its sum
    Real* inverse_sum;           // [kGroupsInBlock] 1 / sum of the softmax, 1 without softmax
    Real *x0, *x1, *y0, *y1;     // corner weights of the two columns and rows
    Real *dx0, *dx1, *dy0, *dy1;  // their derivatives by the coordinate: -1, 0 or 1

    static constexpr int64_t kArrays = 13;  // of reals, without inverse_sum
    static int64_t reals(int64_t lanes) { return (kArrays + 2) * lanes + kGroupsInBlock; }  // int32 fit in two more

    static Taps in(Real* memory, int64_t lanes) {
        Taps t;
        Real** const arrays[] = {&t.w00, &t.w01, &t.w10, &t.w11, &t.mask, &t.x0, &t.x1,
                                 &t.y0,  &t.y1,  &t.dx0, &t.dx1, &t.dy0,  &t.dy1};
        static_assert(sizeof(arrays) / sizeof(arrays[0]) == kArrays, "every array has its place");
        for (Real** array : arrays) {
            *array = memory;
            memory += lanes;
        }
        t.base = reinterpret_cast<int32_t*>(memory);
        t.row = reinterpret_cast<int32_t*>(memory + lanes);
        t.inverse_sum = memory + 2 * lanes;
        return t;
    }
};

// What the second phase needs of a tap.
enum class Purpose {
    kForward,    // base, w
    kSample,     // base, x, y, dx, dy, mask: gradients of offset and mask
    kScatter,    // base, row, w: gradient of the value
};

// exp(logit - largest logit of the group); only for logits so big that exp alone might overflow.
template <class S, class Stored>
void shifted_softmax(const Stored* logits, int64_t groups, int64_t points, typename S::Real* out) {
    using Real = typename S::Real;
    for (int64_t g = 0; g < groups; ++g) {
        Real* row = out + g * points;
        Real largest = 0;
        for (int64_t k = 0; k < points; k += S::width) {
            const int n = static_cast<int>(smaller(S::width, points - k));
            S::store_first(row + k, S::load_first(logits + g * points + k, n), n);
        }
        largest = row[0];
        for (int64_t k = 1; k < points; ++k) {
            if (row[k] > largest || row[k] != row[k]) largest = row[k];
        }
        for (int64_t k = 0; k < points; k += S::width) {
            const int n = static_cast<int>(smaller(S::width, points - k));
            const auto shifted = S::sub(S::load_first(row + k, n), S::broadcast(largest));
            S::store_first(row + k, exponential<S>(shifted), n);
        }
    }
}

template <class S>
INTERN25_INLINE typename S::Real sum_of(const typename S::Real* from, int64_t count) {
    typename S::Vector total = S::load_first(from, static_cast<int>(smaller(S::width, count)));
    for (int64_t k = S::width; k < count; k += S::width) {
        total = S::add(total, S::load_first(from + k, static_cast<int>(smaller(S::width, count - k))));
    }
    return S::sum(total);
}

// Modulation of a block: taps.mask, with softmax without its division. exp needs no shift by the maximum while every
// logit is small, and nearly always it is.
template <class S, class Stored>
INTERN25_INLINE void modulation(const Sampling<typename S::Real>& sampling, const Stored* mask, int64_t groups,
                                const Taps<typename S::Real>& taps) {
    const int64_t count = groups * sampling.points;
    if (!sampling.softmax) {
        for (int64_t lane = 0; lane < count; lane += S::width) {
            S::store(taps.mask + lane, S::load_first(mask + lane, static_cast<int>(smaller(S::width, count - lane))));
        }
        return;
    }
    const auto bound = S::broadcast(20);
    bool small = true;
    for (int64_t lane = 0; lane < count; lane += S::width) {
        const auto logits = S::load_first(mask + lane, static_cast<int>(smaller(S::width, count - lane)));
        small = small & S::all(S::within(logits, bound));
        S::store(taps.mask + lane, exponential<S>(logits));
    }
    if (!small) shifted_softmax<S>(mask, groups, sampling.points, taps.mask);
}

// The divisors the softmax left out, applied once a group to the result. Called some time after `modulation`: a load
// that overlaps two vectors waits until both are out of the store buffer.
template <class S>
INTERN25_INLINE void invert_sums(const Sampling<typename S::Real>& sampling, int64_t groups,
                                 const Taps<typename S::Real>& taps) {
    using Real = typename S::Real;
    for (int64_t g = 0; g < groups; ++g) {
        const Real* mask = taps.mask + g * sampling.points;
        taps.inverse_sum[g] = sampling.softmax ? Real(1) / sum_of<S>(mask, sampling.points) : Real(1);
    }
}

// Fills `taps` for one output pixel. `offset` and `mask` point at the pixel's first group of the block.
// Not inlined: one copy serves every type of value and depth, which saves a third of the time to compile.
template <class S, Purpose purpose, class Stored>
void place_taps(const Sampling<typename S::Real>& sampling, const Stored* offset, const Stored* mask, int64_t groups,
                Pixel pixel, const Taps<typename S::Real>& taps) {
    using Vector = typename S::Vector;
    modulation<S>(sampling, mask, groups, taps);
    const int64_t count = groups * sampling.points;
    const auto width = static_cast<int32_t>(sampling.width), height = static_cast<int32_t>(sampling.height);
    const Vector scale = S::broadcast(sampling.scale), one = S::broadcast(1);
    const auto centre_x = S::integers(static_cast<int32_t>(sampling.first_x + pixel.x * sampling.step_x));
    const auto centre_y = S::integers(static_cast<int32_t>(sampling.first_y + pixel.y * sampling.step_y));
    const auto inner_columns = S::integers(width - 1), inner_rows = S::integers(height - 1);
    for (int64_t lane = 0; lane < count; lane += S::width) {
        const int n = static_cast<int>(smaller(S::width, count - lane));
        Vector dx, dy;
        S::load_pairs(offset + 2 * lane, n, dx, dy);
        // Relative to the centre, which is added as an integer: no digits are lost on large maps.
        const Vector x = S::fma(dx, scale, S::load(sampling.grid_x + lane));
        const Vector y = S::fma(dy, scale, S::load(sampling.grid_y + lane));
        const Vector floor_x = S::floor(x), floor_y = S::floor(y);
        const Vector fx = S::sub(x, floor_x), fy = S::sub(y, floor_y);
        const auto low_x = S::add(S::to_integers(floor_x), centre_x);
        const auto low_y = S::add(S::to_integers(floor_y), centre_y);

        Neighbours<S> columns, rows;
        if (S::all(S::both(S::below(low_x, inner_columns), S::below(low_y, inner_rows)))) {
            columns = {low_x, S::sub(one, fx), fx, S::broadcast(-1), one};
            rows = {low_y, S::sub(one, fy), fy, S::broadcast(-1), one};
        } else {
            columns = border_neighbours<S>(low_x, fx, S::integers(width));
            rows = border_neighbours<S>(low_y, fy, S::integers(height));
        }
        S::store(taps.base + lane, S::add(S::mul(rows.base, S::integers(width)), columns.base));
        if constexpr (purpose != Purpose::kForward) S::store(taps.row + lane, rows.base);
        if constexpr (purpose == Purpose::kSample) {
            S::store(taps.x0 + lane, columns.w0);
            S::store(taps.x1 + lane, columns.w1);
            S::store(taps.y0 + lane, rows.w0);
            S::store(taps.y1 + lane, rows.w1);
            S::store(taps.dx0 + lane, columns.d0);
            S::store(taps.dx1 + lane, columns.d1);
            S::store(taps.dy0 + lane, rows.d0);
            S::store(taps.dy1 + lane, rows.d1);
        } else {
            const Vector m = S::load(taps.mask + lane);
            const Vector upper = S::mul(m, rows.w0), lower = S::mul(m, rows.w1);
            S::store(taps.w00 + lane, S::mul(upper, columns.w0));
            S::store(taps.w01 + lane, S::mul(upper, columns.w1));
            S::store(taps.w10 + lane, S::mul(lower, columns.w0));
            S::store(taps.w11 + lane, S::mul(lower, columns.w1));
        }
    }
    invert_sums<S>(sampling, groups, taps);
}

}  // namespace
}  // namespace intern25
