// SPDX-License-Identifier: MIT
// Multi-scale deformable attention backward in two passes, both parallel, neither with atomics, the result the same
// for any number of threads.
//
//   1. Over queries: gradients of locations and weights, from <grad_output, corner> for the 4 corners of every tap.
//   2. Over heads, and levels where that leaves threads idle: gradient of the value. A task owns the channels of one
//      head on its levels, visits all queries in order and adds into a map of its own, which it stores at the end. So
//      every element gets its terms in one fixed order, however the work is cut.
#pragma once

#include "deform_attn_taps.h"

namespace intern25 {
namespace {

// Inner products of S::width / 4 taps of one level from `lane` on. At the end of a level fewer are left: the last one
// is repeated, and what that gives is overwritten or never used.
template <class S, int kDepth, class Value>
INTERN25_INLINE void some_tap_products(const Value* map, const Value* grad, const int32_t* base, int64_t lane,
                                       int64_t last, int64_t channels, int64_t depth, Patch patch,
                                       const Products<typename S::Real>& products) {
    constexpr int at_once = S::width / 4;
    typename S::Vector rows[S::width];
    for (int i = 0; i < at_once; ++i) {
        const Value* corner = map + static_cast<int64_t>(base[smaller(lane + i, last)]) * channels;
        rows[i] = lane_products<S, kDepth>(corner, grad, depth);
        rows[at_once + i] = lane_products<S, kDepth>(corner + patch.right, grad, depth);
        rows[2 * at_once + i] = lane_products<S, kDepth>(corner + patch.below, grad, depth);
        rows[3 * at_once + i] = lane_products<S, kDepth>(corner + patch.below + patch.right, grad, depth);
    }
    S::store_quarters(products.p00 + lane, products.p01 + lane, products.p10 + lane, products.p11 + lane,
                      S::sum_rows(rows));
}

// Inner products of all taps of one head.
template <class S, int kDepth, class Value>
INTERN25_INLINE void tap_products(const Value* value, const Value* grad, const Pyramid<typename S::Real>& pyramid,
                                  const int32_t* base, int64_t lane, const Products<typename S::Real>& products) {
    const int64_t channels = pyramid.channels(), depth = pyramid.depth;
    for (int64_t l = 0; l < pyramid.level_count; ++l) {
        const Level& level = pyramid.levels()[l];
        const Patch patch = Patch::of(level.height, level.width, channels);
        const Value* map = value + level.first_token * channels;
        const int64_t next = lane + pyramid.points;
        for (; lane < next; lane += S::width / 4) {
            some_tap_products<S, kDepth>(map, grad, base, lane, next - 1, channels, depth, patch, products);
        }
        lane = next;
    }
}

// Gradients of the locations and weights of a block from the inner products of its taps.
template <class S>
void location_gradients(const Pyramid<typename S::Real>& pyramid, const DeformTaps<typename S::Real>& taps,
                        const Products<typename S::Real>& products, const typename S::Real* weights, int64_t count,
                        typename S::Real* grad_locations, typename S::Real* grad_weights) {
    using Vector = typename S::Vector;
    for (int64_t lane = 0; lane < count; lane += S::width) {
        const int n = static_cast<int>(smaller(S::width, count - lane));
        const Vector p00 = S::load(products.p00 + lane), p01 = S::load(products.p01 + lane);
        const Vector p10 = S::load(products.p10 + lane), p11 = S::load(products.p11 + lane);
        const Vector x0 = S::load(taps.x0 + lane), x1 = S::load(taps.x1 + lane);
        const Vector y0 = S::load(taps.y0 + lane), y1 = S::load(taps.y1 + lane);
        const Vector dx0 = S::load(taps.dx0 + lane), dx1 = S::load(taps.dx1 + lane);
        const Vector dy0 = S::load(taps.dy0 + lane), dy1 = S::load(taps.dy1 + lane);
        const Vector upper = S::fma(x0, p00, S::mul(x1, p01)), lower = S::fma(x0, p10, S::mul(x1, p11));
        const Vector slope_upper = S::fma(dx0, p00, S::mul(dx1, p01));
        const Vector slope_lower = S::fma(dx0, p10, S::mul(dx1, p11));
        const Vector weight = S::load_first(weights + lane, n);
        const Vector width = S::load(pyramid.widths() + lane), height = S::load(pyramid.heights() + lane);
        const Vector by_x = S::fma(y0, slope_upper, S::mul(y1, slope_lower));
        const Vector by_y = S::fma(dy0, upper, S::mul(dy1, lower));
        S::store_pairs(grad_locations + 2 * lane, S::mul(S::mul(weight, width), by_x),
                       S::mul(S::mul(weight, height), by_y), n);
        S::store_first(grad_weights + lane, S::fma(y0, upper, S::mul(y1, lower)), n);
    }
}

template <class S, int kDepth, class Value>
int sample_queries(const DeformAttnCall& call, const Pyramid<typename S::Real>& pyramid, int64_t begin, int64_t end) {
    using Real = typename S::Real;
    // The last products of a block are written past its end: up to three lanes, in the padding or the next array.
    const int64_t lanes = pyramid.lanes, products_lanes = lanes + kMostLanesInVector;
    const Scratch scratch((DeformTaps<Real>::reals(lanes) + 4 * products_lanes) * static_cast<int64_t>(sizeof(Real)));
    if (scratch.missing()) return kOutOfMemory;
    const auto products = Products<Real>::in(scratch.as<Real>(), products_lanes);
    const auto taps = DeformTaps<Real>::in(scratch.as<Real>() + 4 * products_lanes, lanes);
    const int64_t channels = pyramid.channels(), taps_of_head = pyramid.taps_of_head();
    for (int64_t index = begin; index < end; ++index) {
        const Value* value = static_cast<const Value*>(call.value) + index / call.queries * call.tokens * channels;
        const Value* grad = static_cast<const Value*>(call.grad_output) + index * channels;
        for (int64_t head = 0; head < call.heads; head += pyramid.heads_in_block) {
            const int64_t heads = smaller(pyramid.heads_in_block, call.heads - head);
            const int64_t first = (index * call.heads + head) * taps_of_head, count = heads * taps_of_head;
            const Real* weights = static_cast<const Real*>(call.weights) + first;
            place_deform_taps<S, DeformPurpose::kSample>(
                pyramid, static_cast<const Real*>(call.locations) + 2 * first, weights, count, taps);
            for (int64_t h = 0; h < heads; ++h) {
                const int64_t c = (head + h) * pyramid.depth;
                tap_products<S, kDepth>(value + c, grad + c, pyramid, taps.base, h * taps_of_head, products);
            }
            location_gradients<S>(pyramid, taps, products, weights, count,
                                  static_cast<Real*>(call.grad_locations) + 2 * first,
                                  static_cast<Real*>(call.grad_weights) + first);
        }
    }
    return kOk;
}

// Adds the taps of one query and head to `sums`, a (tokens, depth) map of the pyramid's levels.
template <class S, int kDepth, class Value>
INTERN25_INLINE void scatter_query(const Value* grad, const Pyramid<typename S::Real>& pyramid,
                                   const DeformTaps<typename S::Real>& taps, typename S::Real* sums) {
    const int64_t depth = kDepth ? kDepth : pyramid.depth;
    const GroupGradient<S, kDepth, Value> gradient(grad, 1, depth);
    int64_t lane = 0;
    for (int64_t l = 0; l < pyramid.level_count; ++l) {
        const Level& level = pyramid.levels()[l];
        const Patch patch = Patch::of(level.height, level.width, depth);
        typename S::Real* const map = sums + (level.first_token - pyramid.first_token()) * depth;
        for (const int64_t next = lane + pyramid.points; lane < next; ++lane) {
            typename S::Real* corner = map + static_cast<int64_t>(taps.base[lane]) * depth;
            gradient.add_to(corner, taps.w00[lane]);
            gradient.add_to(corner + patch.right, taps.w01[lane]);
            gradient.add_to(corner + patch.below, taps.w10[lane]);
            gradient.add_to(corner + patch.below + patch.right, taps.w11[lane]);
        }
    }
}

// From a head's sums, in the accumulator's channel order and type, to its channels of the gradient.
template <class S, class Value>
void store_sums(const typename S::Real* sums, int64_t tokens, int64_t depth, int64_t channels, Value* to) {
    for (int64_t token = 0; token < tokens; ++token, sums += depth, to += channels) {
        int64_t c = 0;
        for (; c + S::width <= depth; c += S::width) S::store_channels(to + c, S::load(sums + c));
        if (c < depth) {
            const int n = static_cast<int>(depth - c);
            S::store_first(to + c, S::load_first(sums + c, n), n);
        }
    }
}

// Gradient of one head of one image's value on the pyramid's levels, of which `first_level` is the first.
template <class S, int kDepth, class Value>
void scatter_head(const DeformAttnCall& call, const Pyramid<typename S::Real>& pyramid, int64_t first_level,
                  int64_t image, int64_t head, const DeformTaps<typename S::Real>& taps, typename S::Real* sums) {
    using Real = typename S::Real;
    const int64_t channels = pyramid.channels(), count = pyramid.taps_of_head();
    memset(sums, 0, static_cast<size_t>(pyramid.tokens() * pyramid.depth) * sizeof(Real));
    for (int64_t query = image * call.queries; query < (image + 1) * call.queries; ++query) {
        const int64_t lane = ((query * call.heads + head) * call.levels + first_level) * call.points;
        place_deform_taps<S, DeformPurpose::kSum>(pyramid, static_cast<const Real*>(call.locations) + 2 * lane,
                                                  static_cast<const Real*>(call.weights) + lane, count, taps);
        const Value* grad = static_cast<const Value*>(call.grad_output) + query * channels + head * pyramid.depth;
        scatter_query<S, kDepth>(grad, pyramid, taps, sums);
    }
    Value* to = static_cast<Value*>(call.grad_value) + head * pyramid.depth;
    to += (image * call.tokens + pyramid.first_token()) * channels;
    store_sums<S>(sums, pyramid.tokens(), pyramid.depth, channels, to);
}

// Tasks [begin, end) of N * M * parts, where a part is all levels or one of them.
template <class S, int kDepth, class Value>
int scatter_heads(const DeformAttnCall& call, int64_t parts, int64_t begin, int64_t end) {
    using Real = typename S::Real;
    const int64_t levels_of_part = call.levels / parts;
    for (int64_t task = begin; task < end; ++task) {
        const int64_t part = task % parts, head = task / parts % call.heads, image = task / parts / call.heads;
        const int64_t first_level = part * levels_of_part;
        const Pyramid<Real> pyramid(call, first_level, first_level + levels_of_part);
        if (pyramid.missing()) return kOutOfMemory;
        const int64_t tap_reals = DeformTaps<Real>::reals(pyramid.lanes);
        const Scratch scratch((tap_reals + pyramid.tokens() * pyramid.depth) * static_cast<int64_t>(sizeof(Real)));
        if (scratch.missing()) return kOutOfMemory;
        const auto taps = DeformTaps<Real>::in(scratch.as<Real>(), pyramid.lanes);
        scatter_head<S, kDepth, Value>(call, pyramid, first_level, image, head, taps, scratch.as<Real>() + tap_reals);
    }
    return kOk;
}

template <class S, int kDepth, class Value>
int deform_attn_backward_of_depth(const DeformAttnCall& call) {
    const Pyramid<typename S::Real> pyramid(call, 0, call.levels);
    if (pyramid.missing()) return kOutOfMemory;
    const int failed = parallel_ranges(
        call.batch * call.queries, queries_per_thread(call), call.threads, [&](int64_t begin, int64_t end) {
            return sample_queries<S, kDepth, Value>(call, pyramid, begin, end);
        });
    if (failed) return failed;
    const int64_t parts = call.batch * call.heads >= 2 * call.threads ? 1 : call.levels;
    return parallel_ranges(call.batch * call.heads * parts, 1, call.threads, [&](int64_t begin, int64_t end) {
        return scatter_heads<S, kDepth, Value>(call, parts, begin, end);
    });
}

template <class S, class Value>
int deform_attn_backward(const DeformAttnCall& call) {
    if constexpr (S::width >= 8) {
        if (call.head_channels == 32) return deform_attn_backward_of_depth<S, 32, Value>(call);
    }
    return deform_attn_backward_of_depth<S, 0, Value>(call);
}

}  // namespace
}  // namespace intern25
