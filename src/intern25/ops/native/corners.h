// SPDX-License-Identifier: MIT
// What the operators that sample maps have in common: the 2x2 patch a bilinear tap reads, its weights at the borders,
// products with its corners and sums into them.
//
// Borders cost no branch per tap. A tap reads the 2x2 patch at `base`, clamped so that it lies inside the image, and
// the corner weights move with it: a point at x = -0.3 reads columns (0, 1) with weights (0.7, 0), one outside (0, 0).
#pragma once

#include <stdint.h>

#include "export.h"

namespace intern25 {
namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How to step inside a 2x2 patch, in elements; a map one pixel high or wide repeats its only row or column.
struct Patch {
    int64_t right, below;

    static Patch of(int64_t height, int64_t width, int64_t channels) {
        return {width > 1 ? channels : 0, height > 1 ? width * channels : 0};
    }
};

// Weights of the two neighbours of a coordinate on one axis, and where the first of them lies.
template <class S>
struct Neighbours {
    typename S::Integers base;
    typename S::Vector w0, w1, d0, d1;
};

// `low` = floor(coordinate), `fraction` = coordinate - low, any values; size = extent of the axis, at least 1.
template <class S>
INTERN25_INLINE Neighbours<S> border_neighbours(typename S::Integers low, typename S::Vector fraction,
                                                typename S::Integers size) {
    Neighbours<S> out;
    const auto nothing = S::integers(0);
    out.base = S::min(S::max(low, nothing), S::max(S::sub(size, S::integers(2)), nothing));
    const auto shift = S::sub(out.base, low);
    const auto inside = S::equal(shift, nothing);
    const auto before = S::both(S::equal(shift, S::integers(1)), S::greater(fraction, S::zero()));  // -1 < c < 0
    const auto after = S::equal(shift, S::integers(-1));                                            // last column
    const auto one = S::broadcast(1), minus_one = S::broadcast(-1);
    // A single column has no second neighbour.
    const auto second = S::keep(S::below(nothing, S::sub(size, S::integers(1))), one);
    const auto rest = S::sub(one, fraction);
    out.w0 = S::select(inside, rest, S::keep(before, fraction));
    out.w1 = S::mul(second, S::select(inside, fraction, S::keep(after, rest)));
    out.d0 = S::select(inside, minus_one, S::keep(before, one));
    out.d1 = S::mul(second, S::select(inside, one, S::keep(after, minus_one)));
    return out;
}

// <grad_output, corner> of every tap of a block, one array a corner.
template <class Real>
struct Products {
    Real *p00, *p01, *p10, *p11;

    static Products in(Real* memory, int64_t lanes) {
        return {memory, memory + lanes, memory + 2 * lanes, memory + 3 * lanes};
    }
};

// Lane by lane products of one corner with the gradient; their sum over the lanes is the inner product.
template <class S, int kDepth, class Value>
INTERN25_INLINE typename S::Vector lane_products(const Value* corner, const Value* grad, int64_t depth) {
    typename S::Vector sum = S::zero();
    if constexpr (kDepth != 0) {
        sum = S::mul(S::load_channels(corner), S::load_channels(grad));
        for (int c = S::width; c < kDepth; c += S::width) {
            sum = S::fma(S::load_channels(corner + c), S::load_channels(grad + c), sum);
        }
    } else {
        int64_t c = 0;
        for (; c + S::width <= depth; c += S::width) {
            sum = S::fma(S::load_channels(corner + c), S::load_channels(grad + c), sum);
        }
        if (c < depth) {
            const int n = static_cast<int>(depth - c);
            sum = S::fma(S::load_first(corner + c, n), S::load_first(grad + c, n), sum);
        }
    }
    return sum;
}

// One group's or head's gradient of the output times a scale; in registers where the depth is known.
template <class S, int kDepth, class Value>
struct GroupGradient {
    static constexpr int kVectors = kDepth / S::width;
    typename S::Vector vectors[kVectors];

    INTERN25_INLINE GroupGradient(const Value* from, typename S::Real scale, int64_t) {
        for (int v = 0; v < kVectors; ++v) {
            vectors[v] = S::mul(S::load_channels(from + v * S::width), S::broadcast(scale));
        }
    }
    INTERN25_INLINE void add_to(typename S::Real* corner, typename S::Real weight) const {
        const auto w = S::broadcast(weight);
        for (int v = 0; v < kVectors; ++v) {
            S::store(corner + v * S::width, S::fma(vectors[v], w, S::load(corner + v * S::width)));
        }
    }
};

template <class S, class Value>
struct GroupGradient<S, 0, Value> {
    const Value* from;
    typename S::Real scale;
    int64_t depth;

    INTERN25_INLINE GroupGradient(const Value* from, typename S::Real scale, int64_t depth)
        : from(from), scale(scale), depth(depth) {}
    INTERN25_INLINE void add_to(typename S::Real* corner, typename S::Real weight) const {
        const auto w = S::broadcast(weight * scale);
        int64_t c = 0;
        for (; c + S::width <= depth; c += S::width) {
            S::store(corner + c, S::fma(S::load_channels(from + c), w, S::load(corner + c)));
        }
        if (c < depth) {
            const int n = static_cast<int>(depth - c);
            S::store_first(corner + c, S::fma(S::load_first(from + c, n), w, S::load_first(corner + c, n)), n);
        }
    }
};

}  // namespace
}  // namespace intern25
