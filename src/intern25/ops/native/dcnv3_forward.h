// SPDX-License-Identifier: MIT
// DCNv3 forward: per output pixel the taps of all groups, then 4 * K multiply-adds a vector of channels, straight from
// the image. No im2col, no padded copy, nothing kept. Shapes: see dcnv3.h.
#pragma once

#include "dcnv3_taps.h"
#include "parallel.h"

namespace intern25 {
namespace {

// Sums `count` vectors of channels over the points of one group. kPoints = 0: number of points known at run time.
template <class S, int count, int kPoints, class Value>
INTERN25_INLINE void gather_vectors(const Value* image, const Taps<typename S::Real>& taps, int64_t lane,
                                    int64_t points, int64_t channels, Patch patch, typename S::Vector scale,
                                    Value* output) {
    using Vector = typename S::Vector;
    constexpr int chains = count >= 8 ? 1 : count >= 4 ? 2 : 4;  // independent sums hide the latency of fma
    Vector sum[4][count];
    for (int chain = 0; chain < chains; ++chain) {
        for (int v = 0; v < count; ++v) sum[chain][v] = S::zero();
    }
    const int64_t number = kPoints ? kPoints : points;
    for (int64_t k = 0; k < number; ++k) {
        const Value* corner = image + static_cast<int64_t>(taps.base[lane + k]) * channels;
        const Vector w00 = S::broadcast(taps.w00[lane + k]), w01 = S::broadcast(taps.w01[lane + k]);
        const Vector w10 = S::broadcast(taps.w10[lane + k]), w11 = S::broadcast(taps.w11[lane + k]);
        for (int v = 0; v < count; ++v) {
            const Value* at = corner + v * S::width;
            sum[0][v] = S::fma(S::load_channels(at), w00, sum[0][v]);
            sum[1 % chains][v] = S::fma(S::load_channels(at + patch.right), w01, sum[1 % chains][v]);
            sum[2 % chains][v] = S::fma(S::load_channels(at + patch.below), w10, sum[2 % chains][v]);
            sum[3 % chains][v] = S::fma(S::load_channels(at + patch.below + patch.right), w11, sum[3 % chains][v]);
        }
    }
    for (int v = 0; v < count; ++v) {
        Vector total = sum[0][v];
        if constexpr (chains == 2) total = S::add(total, sum[1][v]);
        if constexpr (chains == 4) total = S::add(S::add(total, sum[1][v]), S::add(sum[2][v], sum[3][v]));
        S::store_channels(output + v * S::width, S::mul(total, scale));
    }
}

// The last channels of a group, fewer than a vector.
template <class S, class Value>
void gather_rest(const Value* image, const Taps<typename S::Real>& taps, int64_t lane, int64_t points,
                 int64_t channels, Patch patch, typename S::Vector scale, Value* output, int n) {
    typename S::Vector sum = S::zero();
    for (int64_t k = lane; k < lane + points; ++k) {
        const Value* at = image + static_cast<int64_t>(taps.base[k]) * channels;
        sum = S::fma(S::load_first(at, n), S::broadcast(taps.w00[k]), sum);
        sum = S::fma(S::load_first(at + patch.right, n), S::broadcast(taps.w01[k]), sum);
        sum = S::fma(S::load_first(at + patch.below, n), S::broadcast(taps.w10[k]), sum);
        sum = S::fma(S::load_first(at + patch.below + patch.right, n), S::broadcast(taps.w11[k]), sum);
    }
    S::store_first(output, S::mul(sum, scale), n);
}

// One group of one output pixel, any number of channels and points.
template <class S, class Value>
void gather_group(const Value* image, const Taps<typename S::Real>& taps, int64_t lane,
                  const Sampling<typename S::Real>& sampling, Patch patch, typename S::Vector scale, Value* output) {
    const int64_t depth = sampling.group_channels, points = sampling.points, channels = sampling.channels;
    int64_t c = 0;
    for (; c + 4 * S::width <= depth; c += 4 * S::width) {
        gather_vectors<S, 4, 0>(image + c, taps, lane, points, channels, patch, scale, output + c);
    }
    for (; c + S::width <= depth; c += S::width) {
        gather_vectors<S, 1, 0>(image + c, taps, lane, points, channels, patch, scale, output + c);
    }
    if (c < depth) {
        gather_rest<S>(image + c, taps, lane, points, channels, patch, scale, output + c,
                       static_cast<int>(depth - c));
    }
}

// All groups of a block; kDepth and kPoints other than 0 are the sizes of the published models, known to the compiler.
template <class S, int kDepth, int kPoints, class Value>
INTERN25_INLINE void gather_block(const Value* image, const Taps<typename S::Real>& taps, int64_t groups,
                                  const Sampling<typename S::Real>& sampling, Patch patch, Value* output) {
    for (int64_t g = 0; g < groups; ++g) {
        const int64_t lane = g * sampling.points, c = g * sampling.group_channels;
        const auto scale = S::broadcast(taps.inverse_sum[g]);
        if constexpr (kDepth != 0) {
            gather_vectors<S, kDepth / S::width, kPoints>(image + c, taps, lane, kPoints, sampling.channels, patch,
                                                          scale, output + c);
        } else {
            gather_group<S>(image + c, taps, lane, sampling, patch, scale, output + c);
        }
    }
}

template <class S, int kDepth, int kPoints, class Value, class Stored>
int forward_pixels(const Dcnv3Call& call, const Sampling<typename S::Real>& sampling, int64_t begin, int64_t end) {
    using Real = typename S::Real;
    const Scratch scratch(Taps<Real>::reals(sampling.lanes) * static_cast<int64_t>(sizeof(Real)));
    if (scratch.missing()) return kOutOfMemory;
    const Taps<Real> taps = Taps<Real>::in(scratch.as<Real>(), sampling.lanes);
    const Patch patch = Patch::of(call.height, call.width, sampling.channels);
    for (int64_t index = begin; index < end; ++index) {
        const Pixel pixel = Pixel::at(call, index);
        const Value* image = static_cast<const Value*>(call.value) + pixel.image * image_size(call);
        Value* output = static_cast<Value*>(call.output) + index * sampling.channels;
        const Stored* offset = static_cast<const Stored*>(call.offset) + index * call.offset_stride;
        const Stored* mask = static_cast<const Stored*>(call.mask) + index * call.mask_stride;
        for (int64_t group = 0; group < call.groups; group += kGroupsInBlock) {
            const int64_t groups = smaller(kGroupsInBlock, call.groups - group);
            const int64_t lane = group * sampling.points, c = group * sampling.group_channels;
            place_taps<S, Purpose::kForward>(sampling, offset + 2 * lane, mask + lane, groups, pixel, taps);
            gather_block<S, kDepth, kPoints>(image + c, taps, groups, sampling, patch, output + c);
        }
    }
    return kOk;
}

template <class S, class Value, class Stored>
int forward(const Dcnv3Call& call) {
    using Real = typename S::Real;
    Sampling<Real> sampling = Sampling<Real>::of(call);
    const Scratch grid(sampling.grid_bytes());
    if (grid.missing()) return kOutOfMemory;
    sampling.place_grid(call, grid.as<Real>());
    const auto run = [&](auto pixels) {
        return parallel_ranges(call.batch * call.out_height * call.out_width, pixels_per_thread(call), call.threads,
                               [&](int64_t begin, int64_t end) { return pixels(call, sampling, begin, end); });
    };
    if constexpr (kHasKnownSizes<S>) {
        if (sampling.points == 9 && call.group_channels == 16) return run(forward_pixels<S, 16, 9, Value, Stored>);
        if (sampling.points == 9 && call.group_channels == 32) return run(forward_pixels<S, 32, 9, Value, Stored>);
    }
    return run(forward_pixels<S, 0, 0, Value, Stored>);
}

}  // namespace
}  // namespace intern25
