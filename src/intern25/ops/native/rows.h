// SPDX-License-Identifier: MIT
// What the fused graph does to single pixels: normalise, sample a depth-wise window, blend.
#pragma once

#include <math.h>
#include <string.h>

#include <type_traits>

#include "activation.h"
#include "inference.h"

namespace intern25 {
namespace {

enum class After { kNothing, kGelu, kAdd };  // what happens to a normalised row: stored, activated, added to the output

// Calls body(c, n) for whole vectors of channels and for a last one of n < width.
template <class S, class Body>
INTERN25_INLINE void for_vectors(int64_t channels, const Body& body) {
    int64_t c = 0;
    for (; c + S::width <= channels; c += S::width) body(c, S::width);
    if (c < channels) body(c, static_cast<int>(channels - c));
}

// The first n lanes, zeros behind them.
template <class S>
INTERN25_INLINE typename S::Vector first_lanes(typename S::Vector a, int n) {
    if (n == S::width) return a;
    float lanes[S::width];
    S::store(lanes, a);
    return S::load_first(lanes, n);
}

template <class S>
INTERN25_INLINE typename S::Vector load_some(const float* from, int n) {
    return n == S::width ? S::load(from) : S::load_first(from, n);
}

template <class S>
INTERN25_INLINE void store_some(float* to, typename S::Vector a, int n) {
    n == S::width ? S::store(to, a) : S::store_first(to, a, n);
}

// Two passes over the row, so that a large mean costs no digits. Any number of channels, as below.
template <class S>
INTERN25_INLINE Statistics row_statistics(const float* row, int64_t channels, float epsilon) {
    using Vector = typename S::Vector;
    Vector total = S::zero(), squares = S::zero();
    for_vectors<S>(channels, [&](int64_t c, int n) { total = S::add(total, load_some<S>(row + c, n)); });
    const float mean = S::sum(total) / static_cast<float>(channels);
    const Vector means = S::broadcast(mean);
    for_vectors<S>(channels, [&](int64_t c, int n) {
        const Vector d = first_lanes<S>(S::sub(load_some<S>(row + c, n), means), n);
        squares = S::fma(d, d, squares);
    });
    return {mean, 1.0f / sqrtf(S::sum(squares) / static_cast<float>(channels) + epsilon)};
}

template <class S, After kAfter = After::kNothing>
INTERN25_INLINE void scale_row(const float* from, Statistics statistics, Norm norm, int64_t channels, float* to) {
    using Vector = typename S::Vector;
    const Vector means = S::broadcast(statistics.mean), scale = S::broadcast(statistics.scale);
    for_vectors<S>(channels, [&](int64_t c, int n) {
        const Vector unit = S::mul(S::sub(load_some<S>(from + c, n), means), scale);
        Vector y = S::fma(unit, load_some<S>(norm.gain + c, n), load_some<S>(norm.bias + c, n));
        if constexpr (kAfter == After::kGelu) y = gelu<S>(y);
        if constexpr (kAfter == After::kAdd) y = S::add(y, load_some<S>(to + c, n));
        store_some<S>(to + c, y, n);
    });
}

template <class S, After kAfter = After::kNothing>
INTERN25_INLINE void normalise_row(const float* from, float* to, int64_t channels, Norm norm, float epsilon) {
    scale_row<S, kAfter>(from, row_statistics<S>(from, channels, epsilon), norm, channels, to);
}

template <class S, After kAfter = After::kNothing>
void normalise_rows(const float* from, float* to, int64_t rows, int64_t channels, Norm norm, float epsilon) {
    for (int64_t r = 0; r < rows; ++r) {
        normalise_row<S, kAfter>(from + r * channels, to + r * channels, channels, norm, epsilon);
    }
}

// Depth-wise convolution of one pixel, stride 1, zeros outside the map; channels a multiple of 16.
template <class S>
INTERN25_INLINE void depthwise_pixel(const float* image, int64_t height, int64_t width, int64_t channels, int64_t y,
                                     int64_t x, int64_t kernel, const float* weight, float* to) {
    using Vector = typename S::Vector;
    constexpr int most = 4;  // vectors of sums in registers
    const int64_t pad = kernel / 2;
    const int64_t first_i = y < pad ? pad - y : 0, last_i = smaller(kernel, height - y + pad);
    const int64_t first_j = x < pad ? pad - x : 0, last_j = smaller(kernel, width - x + pad);
    const float* bias = weight + kernel * kernel * channels;
    const auto sample = [&](auto count, int64_t c) {
        constexpr int number = decltype(count)::value;
        Vector sums[number];
        for (int v = 0; v < number; ++v) sums[v] = S::load(bias + c + v * S::width);
        for (int64_t i = first_i; i < last_i; ++i) {
            const float* pixel = image + ((y + i - pad) * width + x + first_j - pad) * channels + c;
            const float* tap = weight + (i * kernel + first_j) * channels + c;
            for (int64_t j = first_j; j < last_j; ++j, pixel += channels, tap += channels) {
                for (int v = 0; v < number; ++v) {
                    sums[v] = S::fma(S::load(pixel + v * S::width), S::load(tap + v * S::width), sums[v]);
                }
            }
        }
        for (int v = 0; v < number; ++v) S::store(to + c + v * S::width, sums[v]);
    };
    int64_t c = 0;
    for (; c + most * S::width <= channels; c += most * S::width) sample(std::integral_constant<int, most>(), c);
    for (; c < channels; c += S::width) sample(std::integral_constant<int, 1>(), c);
}

// y = y (1 - a) + value a with a = sigmoid(logit), for the channels of every group.
template <class S>
void blend_row(float* y, const float* value, const float* logits, int64_t groups, int64_t group_channels) {
    for (int64_t g = 0; g < groups; ++g) {
        const auto share = sigmoid<S>(S::broadcast(logits[g]));
        for (int64_t c = g * group_channels; c < (g + 1) * group_channels; c += S::width) {
            const auto own = S::load(y + c);
            S::store(y + c, S::fma(S::sub(S::load(value + c), own), share, own));
        }
    }
}

}  // namespace
}  // namespace intern25
