// SPDX-License-Identifier: MIT
// Multi-scale deformable attention forward: per query the taps of all heads, then 4 multiply-adds a tap and vector of
// channels, straight from the values. No sampled map, nothing kept. Shapes: see deform_attn.h.
#pragma once

#include "deform_attn_taps.h"

namespace intern25 {
namespace {

// Sums `count` vectors of channels over all taps of one head.
template <class S, int count, class Value>
INTERN25_INLINE void attend_vectors(const Value* value, const Pyramid<typename S::Real>& pyramid,
                                    const DeformTaps<typename S::Real>& taps, int64_t lane, Value* output) {
    using Vector = typename S::Vector;
    constexpr int chains = count >= 8 ? 1 : count >= 4 ? 2 : 4;  // independent sums hide the latency of fma
    Vector sum[4][count];
    for (int chain = 0; chain < chains; ++chain) {
        for (int v = 0; v < count; ++v) sum[chain][v] = S::zero();
    }
    const int64_t channels = pyramid.channels(), points = pyramid.points;
    const Level* const end = pyramid.levels() + pyramid.level_count;
    for (const Level* level = pyramid.levels(); level < end; ++level) {
        const Patch patch = Patch::of(level->height, level->width, channels);
        const Value* map = value + level->first_token * channels;
        for (const int64_t next = lane + points; lane < next; ++lane) {
            const Value* corner = map + static_cast<int64_t>(taps.base[lane]) * channels;
            const Vector w00 = S::broadcast(taps.w00[lane]), w01 = S::broadcast(taps.w01[lane]);
            const Vector w10 = S::broadcast(taps.w10[lane]), w11 = S::broadcast(taps.w11[lane]);
            for (int v = 0; v < count; ++v) {
                const Value* at = corner + v * S::width;
                sum[0][v] = S::fma(S::load_channels(at), w00, sum[0][v]);
                sum[1 % chains][v] = S::fma(S::load_channels(at + patch.right), w01, sum[1 % chains][v]);
                sum[2 % chains][v] = S::fma(S::load_channels(at + patch.below), w10, sum[2 % chains][v]);
                sum[3 % chains][v] =
                    S::fma(S::load_channels(at + patch.below + patch.right), w11, sum[3 % chains][v]);
            }
        }
    }
    for (int v = 0; v < count; ++v) {
        Vector total = sum[0][v];
        if constexpr (chains == 2) total = S::add(total, sum[1][v]);
        if constexpr (chains == 4) total = S::add(S::add(total, sum[1][v]), S::add(sum[2][v], sum[3][v]));
        S::store_channels(output + v * S::width, total);
    }
}

// The last `n` channels of a head, fewer than a vector.
template <class S, class Value>
void attend_rest(const Value* value, const Pyramid<typename S::Real>& pyramid,
                 const DeformTaps<typename S::Real>& taps, int64_t lane, Value* output, int n) {
    typename S::Vector sum = S::zero();
    const int64_t channels = pyramid.channels();
    for (int64_t l = 0; l < pyramid.level_count; ++l) {
        const Level& level = pyramid.levels()[l];
        const Patch patch = Patch::of(level.height, level.width, channels);
        for (const int64_t next = lane + pyramid.points; lane < next; ++lane) {
            const Value* at = value + (level.first_token + taps.base[lane]) * channels;
            sum = S::fma(S::load_first(at, n), S::broadcast(taps.w00[lane]), sum);
            sum = S::fma(S::load_first(at + patch.right, n), S::broadcast(taps.w01[lane]), sum);
            sum = S::fma(S::load_first(at + patch.below, n), S::broadcast(taps.w10[lane]), sum);
            sum = S::fma(S::load_first(at + patch.below + patch.right, n), S::broadcast(taps.w11[lane]), sum);
        }
    }
    S::store_first(output, sum, n);
}

// One head of one query, any number of channels.
template <class S, class Value>
void attend_head(const Value* value, const Pyramid<typename S::Real>& pyramid,
                 const DeformTaps<typename S::Real>& taps, int64_t lane, Value* output) {
    const int64_t depth = pyramid.depth;
    int64_t c = 0;
    for (; c + 4 * S::width <= depth; c += 4 * S::width) {
        attend_vectors<S, 4>(value + c, pyramid, taps, lane, output + c);
    }
    for (; c + S::width <= depth; c += S::width) attend_vectors<S, 1>(value + c, pyramid, taps, lane, output + c);
    if (c < depth) attend_rest<S>(value + c, pyramid, taps, lane, output + c, static_cast<int>(depth - c));
}

// Queries [begin, end) of the whole batch; kDepth other than 0 is the published models', known to the compiler.
template <class S, int kDepth, class Value>
int attend_queries(const DeformAttnCall& call, const Pyramid<typename S::Real>& pyramid, int64_t begin, int64_t end) {
    using Real = typename S::Real;
    const Scratch scratch(DeformTaps<Real>::reals(pyramid.lanes) * static_cast<int64_t>(sizeof(Real)));
    if (scratch.missing()) return kOutOfMemory;
    const auto taps = DeformTaps<Real>::in(scratch.as<Real>(), pyramid.lanes);
    const int64_t channels = pyramid.channels(), taps_of_head = pyramid.taps_of_head();
    for (int64_t index = begin; index < end; ++index) {
        const Value* value = static_cast<const Value*>(call.value) + index / call.queries * call.tokens * channels;
        Value* output = static_cast<Value*>(call.output) + index * channels;
        const int64_t first_lane = index * call.heads * taps_of_head;
        const Real* locations = static_cast<const Real*>(call.locations) + 2 * first_lane;
        const Real* weights = static_cast<const Real*>(call.weights) + first_lane;
        for (int64_t head = 0; head < call.heads; head += pyramid.heads_in_block) {
            const int64_t heads = smaller(pyramid.heads_in_block, call.heads - head);
            const int64_t lane = head * taps_of_head;
            place_deform_taps<S, DeformPurpose::kSum>(pyramid, locations + 2 * lane, weights + lane,
                                                      heads * taps_of_head, taps);
            for (int64_t h = 0; h < heads; ++h) {
                const int64_t c = (head + h) * pyramid.depth;
                if constexpr (kDepth != 0) {
                    attend_vectors<S, kDepth / S::width>(value + c, pyramid, taps, h * taps_of_head, output + c);
                } else {
                    attend_head<S>(value + c, pyramid, taps, h * taps_of_head, output + c);
                }
            }
        }
    }
    return kOk;
}

template <class S, class Value>
int deform_attn_forward(const DeformAttnCall& call) {
    const Pyramid<typename S::Real> pyramid(call, 0, call.levels);
    if (pyramid.missing()) return kOutOfMemory;
    const auto run = [&](auto queries) {
        return parallel_ranges(call.batch * call.queries, queries_per_thread(call), call.threads,
                               [&](int64_t begin, int64_t end) { return queries(call, pyramid, begin, end); });
    };
    if constexpr (S::width >= 8) {
        if (call.head_channels == 32) return run(attend_queries<S, 32, Value>);
    }
    return run(attend_queries<S, 0, Value>);
}

}  // namespace
}  // namespace intern25
