// SPDX-License-Identifier: MIT
// Forward and backward of the layers around the operator. Sums over pixels are taken in bands whose number depends on
// the map alone and are added in order, so that the result is the same for any number of threads.
#pragma once

#include "dcnv3_taps.h"
#include "parallel.h"
#include "rows.h"
#include "training.h"

namespace intern25 {
namespace {

constexpr int64_t kMostBands = 64;
constexpr int64_t kRowGrain = 32;

// Calls body(band, begin, end) for bands of [0, count), in parallel, then adds the bands' sums in order.
template <class Body>
int sum_in_bands(int64_t count, int64_t floats, int64_t threads, float* total, const Body& body) {
    memset(total, 0, static_cast<size_t>(floats) * sizeof(float));
    if (count <= 0) return kOk;
    const int64_t size = divide_up(count, kMostBands), bands = divide_up(count, size);
    const Scratch scratch(bands * floats * static_cast<int64_t>(sizeof(float)));
    if (scratch.missing()) return kOutOfMemory;
    float* sums = scratch.as<float>();
    memset(sums, 0, static_cast<size_t>(bands * floats) * sizeof(float));
    const int failed = parallel_ranges(bands, 1, threads, [&](int64_t first, int64_t last) {
        for (int64_t band = first; band < last; ++band) {
            body(sums + band * floats, band * size, smaller((band + 1) * size, count));
        }
        return static_cast<int>(kOk);
    });
    for (int64_t band = 0; band < bands; ++band) {
        for (int64_t i = 0; i < floats; ++i) total[i] += sums[band * floats + i];
    }
    return failed;
}

template <class S>
int depthwise_forward(const DepthwiseCall& call) {
    const int64_t channels = call.channels;
    return parallel_ranges(call.batch * call.height, 1, call.threads, [&](int64_t first, int64_t last) {
        for (int64_t pixel = first * call.width; pixel < last * call.width; ++pixel) {
            const int64_t line = pixel / call.width;
            const float* image = call.input + line / call.height * call.height * call.width * channels;
            float* row = call.convolved + pixel * channels;
            depthwise_pixel<S>(image, call.height, call.width, channels, line % call.height, pixel % call.width,
                               call.kernel, call.weight, row);
            call.statistics[pixel] = row_statistics<S>(row, channels, static_cast<float>(call.epsilon));
            scale_row<S, After::kGelu>(row, call.statistics[pixel], call.norm, channels,
                                       call.output + pixel * channels);
        }
        return static_cast<int>(kOk);
    });
}

template <class S>
int norm_forward(const NormCall& call) {
    const int64_t channels = call.channels;
    return parallel_ranges(call.rows, kRowGrain, call.threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const float* from = call.input + row * channels;
            call.statistics[row] = row_statistics<S>(from, channels, static_cast<float>(call.epsilon));
            scale_row<S>(from, call.statistics[row], call.norm, channels, call.output + row * channels);
        }
        return static_cast<int>(kOk);
    });
}

template <class S>
INTERN25_INLINE void accumulate(float* sum, typename S::Vector a) {
    S::store(sum, S::add(S::load(sum), a));
}

// Gradient through the norm of one row, and through the GELU behind it; adds to the gradients of gain and bias.
template <class S, After kAfter>
INTERN25_INLINE void row_backward(const float* from, Statistics statistics, Norm norm, int64_t channels,
                                  const float* grad_output, float* to, float* grad_gain, float* grad_norm_bias) {
    const auto mean = S::broadcast(statistics.mean), scale = S::broadcast(statistics.scale);
    auto total = S::zero(), along = S::zero();
    for (int64_t c = 0; c < channels; c += S::width) {
        const auto unit = S::mul(S::sub(S::load(from + c), mean), scale), gain = S::load(norm.gain + c);
        auto grad = S::load(grad_output + c);
        if constexpr (kAfter == After::kGelu) {
            grad = S::mul(grad, gelu_slope<S>(S::fma(unit, gain, S::load(norm.bias + c))));
        }
        accumulate<S>(grad_gain + c, S::mul(grad, unit));
        accumulate<S>(grad_norm_bias + c, grad);
        const auto scaled = S::mul(grad, gain);
        total = S::add(total, scaled);
        along = S::fma(scaled, unit, along);
        S::store(to + c, scaled);
    }
    const float share = 1.0f / static_cast<float>(channels);
    const auto mean_grad = S::broadcast(S::sum(total) * share), mean_along = S::broadcast(S::sum(along) * share);
    for (int64_t c = 0; c < channels; c += S::width) {
        const auto unit = S::mul(S::sub(S::load(from + c), mean), scale);
        S::store(to + c, S::mul(S::sub(S::load(to + c), S::fma(unit, mean_along, mean_grad)), scale));
    }
}

template <class S>
int norm_backward(const NormCall& call) {
    const int64_t channels = call.channels;
    return sum_in_bands(call.rows, 2 * channels, call.threads, call.grad_parameters,
                        [&](float* sums, int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            row_backward<S, After::kNothing>(call.input + row * channels, call.statistics[row], call.norm,
                                             channels, call.grad_output + row * channels,
                                             call.grad_input + row * channels, sums, sums + channels);
        }
    });
}

// Adds one output pixel's share to the gradients of all taps.
template <class S>
INTERN25_INLINE void taps_backward(const DepthwiseCall& call, int64_t pixel, float* grad_taps) {
    const int64_t channels = call.channels, pad = call.kernel / 2;
    const int64_t line = pixel / call.width, y = line % call.height, x = pixel % call.width;
    const float* grad = call.grad_convolved + pixel * channels;
    for (int64_t i = 0; i < call.kernel; ++i) {
        for (int64_t j = 0; j < call.kernel; ++j) {
            const int64_t row = y + i - pad, column = x + j - pad;
            if (row < 0 || row >= call.height || column < 0 || column >= call.width) continue;
            const float* input = call.input + ((line - y + row) * call.width + column) * channels;
            float* sum = grad_taps + (i * call.kernel + j) * channels;
            for (int64_t c = 0; c < channels; c += S::width) {
                S::store(sum + c, S::fma(S::load(grad + c), S::load(input + c), S::load(sum + c)));
            }
        }
    }
}

template <class S>
int depthwise_backward(const DepthwiseCall& call) {
    const int64_t channels = call.channels, taps = call.kernel * call.kernel, lines = call.batch * call.height;
    float* grad_rest = call.grad_parameters + taps * channels;
    int failed = sum_in_bands(lines, 3 * channels, call.threads, grad_rest,
                              [&](float* sums, int64_t first, int64_t last) {
        for (int64_t pixel = first * call.width; pixel < last * call.width; ++pixel) {
            const int64_t at = pixel * channels;
            row_backward<S, After::kGelu>(call.convolved + at, call.statistics[pixel], call.norm, channels,
                                          call.grad_output + at, call.grad_convolved + at, sums + channels,
                                          sums + 2 * channels);
            for (int64_t c = 0; c < channels; c += S::width) {
                accumulate<S>(sums + c, S::load(call.grad_convolved + at + c));
            }
        }
    });
    // The gradient of a convolution is one with the taps in reverse order and no bias.
    const Scratch scratch((taps + 1) * channels * static_cast<int64_t>(sizeof(float)));
    if (failed != kOk || scratch.missing()) return kOutOfMemory;
    float* reversed = scratch.as<float>();
    for (int64_t tap = 0; tap < taps; ++tap) {
        memcpy(reversed + tap * channels, call.weight + (taps - 1 - tap) * channels,
               static_cast<size_t>(channels) * sizeof(float));
    }
    memset(reversed + taps * channels, 0, static_cast<size_t>(channels) * sizeof(float));
    return sum_in_bands(lines, taps * channels, call.threads, call.grad_parameters,
                        [&](float* sums, int64_t first, int64_t last) {
        for (int64_t pixel = first * call.width; pixel < last * call.width; ++pixel) {
            const int64_t line = pixel / call.width;
            const float* image = call.grad_convolved + line / call.height * call.height * call.width * channels;
            depthwise_pixel<S>(image, call.height, call.width, channels, line % call.height, pixel % call.width,
                               call.kernel, reversed, call.grad_input + pixel * channels);
            taps_backward<S>(call, pixel, sums);
        }
    });
}

template <class S>
int bias_gelu_forward(const BiasGeluCall& call) {
    const int64_t channels = call.channels;
    return parallel_ranges(call.rows, kRowGrain, call.threads, [&](int64_t first, int64_t last) {
        for (int64_t at = first * channels; at < last * channels; at += channels) {
            for_vectors<S>(channels, [&](int64_t c, int n) {
                const auto x = S::add(load_some<S>(call.input + at + c, n), load_some<S>(call.bias + c, n));
                store_some<S>(call.input + at + c, x, n);
                store_some<S>(call.output + at + c, gelu<S>(x), n);
            });
        }
        return static_cast<int>(kOk);
    });
}

template <class S>
int bias_gelu_backward(const BiasGeluCall& call) {
    const int64_t channels = call.channels;
    return sum_in_bands(call.rows, channels, call.threads, call.bias, [&](float* sums, int64_t first, int64_t last) {
        for (int64_t at = first * channels; at < last * channels; at += channels) {
            for_vectors<S>(channels, [&](int64_t c, int n) {
                const auto slope = gelu_slope<S>(load_some<S>(call.input + at + c, n));
                const auto grad = S::mul(load_some<S>(call.output + at + c, n), slope);
                store_some<S>(sums + c, S::add(load_some<S>(sums + c, n), grad), n);
                store_some<S>(call.output + at + c, grad, n);
            });
        }
    });
}

}  // namespace
}  // namespace intern25
