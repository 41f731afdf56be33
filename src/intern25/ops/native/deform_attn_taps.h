// SPDX-License-Identifier: MIT
// First phase of every kernel of multi-scale deformable attention: from the locations and weights of one query to
// memory indices and corner weights.
//
// A tap is one sampling point of one head. The taps of a block of heads are lanes: lane = (head * L + level) * P +
// point, as in memory, so coordinates and weights are computed a full vector at a time whatever L and P are.
#pragma once

#include <string.h>

#include "corners.h"
#include "deform_attn.h"
#include "parallel.h"

namespace intern25 {
namespace {

constexpr int64_t kLanesInBlock = 256;
constexpr int64_t kMostLanesInVector = 16;

// One map of the pyramid.
struct Level {
    int64_t height, width;
    int64_t first_token;
};

// Consecutive levels of a pyramid, and what their taps need to know lane by lane.
template <class Real>
class Pyramid {
public:
    int64_t heads;          // of one image
    int64_t depth;          // channels of a head
    int64_t level_count;    // levels of this part
    int64_t points;         // of a head and level
    int64_t heads_in_block;
    int64_t lanes;          // of a full block, rounded up to whole vectors

    // Levels [first, end) of a call.
    Pyramid(const DeformAttnCall& call, int64_t first, int64_t end)
        : heads(call.heads),
          depth(call.head_channels),
          level_count(end - first),
          points(call.points),
          heads_in_block(larger(1, smaller(call.heads, kLanesInBlock / (level_count * points)))),
          lanes(divide_up(heads_in_block * level_count * points, kMostLanesInVector) * kMostLanesInVector),
          levels_(level_count * static_cast<int64_t>(sizeof(Level))),
          extents_(2 * lanes * static_cast<int64_t>(sizeof(Real))) {
        if (missing()) return;
        Level* const level = levels_.template as<Level>();
        int64_t token = 0;
        for (int64_t l = 0; l < end; ++l) {
            const int64_t height = call.sizes[2 * l], width = call.sizes[2 * l + 1];
            if (l >= first) level[l - first] = {height, width, token};
            token += height * width;
        }
        Real* const widths_of_lanes = extents_.template as<Real>();
        for (int64_t lane = 0; lane < lanes; ++lane) {
            const Level& at = level[lane / points % level_count];
            widths_of_lanes[lane] = static_cast<Real>(at.width);
            widths_of_lanes[lanes + lane] = static_cast<Real>(at.height);
        }
    }

    bool missing() const { return levels_.missing() || extents_.missing(); }
    const Level* levels() const { return levels_.template as<Level>(); }
    const Real* widths() const { return extents_.template as<Real>(); }
    const Real* heights() const { return widths() + lanes; }
    int64_t channels() const { return heads * depth; }
    int64_t taps_of_head() const { return level_count * points; }
    int64_t first_token() const { return levels()[0].first_token; }
    int64_t tokens() const {
        const Level& last = levels()[level_count - 1];
        return last.first_token + last.height * last.width - first_token();
    }

private:
    Scratch levels_;
    Scratch extents_;
};

// The taps of one query and block of heads; every array has Pyramid::lanes entries.
template <class Real>
struct DeformTaps {
    int32_t* base;                // row * W + column of the patch's upper left corner in its level
    Real *w00, *w01, *w10, *w11;  // attention times corner weight, corner (row, column)
    Real *x0, *x1, *y0, *y1;      // corner weights of the two columns and rows
    Real *dx0, *dx1, *dy0, *dy1;  // their derivatives by the coordinate: -1, 0 or 1

    static constexpr int64_t kArrays = 12;                                    // of reals
    static int64_t reals(int64_t lanes) { return (kArrays + 1) * lanes; }  // int32 fit in one more

    static DeformTaps in(Real* memory, int64_t lanes) {
        DeformTaps t;
        Real** const arrays[] = {&t.w00, &t.w01, &t.w10, &t.w11, &t.x0,  &t.x1,
                                 &t.y0,  &t.y1,  &t.dx0, &t.dx1, &t.dy0, &t.dy1};
        static_assert(sizeof(arrays) / sizeof(arrays[0]) == kArrays, "every array has its place");
        for (Real** array : arrays) {
            *array = memory;
            memory += lanes;
        }
        t.base = reinterpret_cast<int32_t*>(memory);
        return t;
    }
};

// What the second phase needs of a tap.
enum class DeformPurpose {
    kSum,     // base, w: output, gradient of the value
    kSample,  // base, x, y, dx, dy: gradients of locations and weights
};

// Fills `taps` for the `count` lanes of one query that start at `locations` and `weights`. Not inlined: one copy
// serves every storage type and depth, which halves the time these files take to compile.
template <class S, DeformPurpose purpose>
void place_deform_taps(const Pyramid<typename S::Real>& pyramid, const typename S::Real* locations,
                       const typename S::Real* weights, int64_t count, const DeformTaps<typename S::Real>& taps) {
    using Vector = typename S::Vector;
    const Vector half = S::broadcast(typename S::Real(0.5)), one = S::broadcast(1);
    const auto unit = S::integers(1);
    const typename S::Real *const widths = pyramid.widths(), *const heights = pyramid.heights();
    for (int64_t lane = 0; lane < count; lane += S::width) {
        const int n = static_cast<int>(smaller(S::width, count - lane));
        Vector x, y;
        S::load_pairs(locations + 2 * lane, n, x, y);
        const Vector width = S::load(widths + lane), height = S::load(heights + lane);
        // Rounded after the product as in PyTorch: a point at a pixel centre must not fall left of it.
        x = S::sub(S::mul(x, width), half);
        y = S::sub(S::mul(y, height), half);
        const Vector floor_x = S::floor(x), floor_y = S::floor(y);
        const Vector fx = S::sub(x, floor_x), fy = S::sub(y, floor_y);
        const auto low_x = S::to_integers(floor_x), low_y = S::to_integers(floor_y);
        const auto columns_of_map = S::to_integers(width), rows_of_map = S::to_integers(height);

        Neighbours<S> columns, rows;
        if (S::all(S::both(S::below(low_x, S::sub(columns_of_map, unit)),
                           S::below(low_y, S::sub(rows_of_map, unit))))) {
            columns = {low_x, S::sub(one, fx), fx, S::broadcast(-1), one};
            rows = {low_y, S::sub(one, fy), fy, S::broadcast(-1), one};
        } else {
            columns = border_neighbours<S>(low_x, fx, columns_of_map);
            rows = border_neighbours<S>(low_y, fy, rows_of_map);
        }
        S::store(taps.base + lane, S::add(S::mul(rows.base, columns_of_map), columns.base));
        if constexpr (purpose == DeformPurpose::kSample) {
            S::store(taps.x0 + lane, columns.w0);
            S::store(taps.x1 + lane, columns.w1);
            S::store(taps.y0 + lane, rows.w0);
            S::store(taps.y1 + lane, rows.w1);
            S::store(taps.dx0 + lane, columns.d0);
            S::store(taps.dx1 + lane, columns.d1);
            S::store(taps.dy0 + lane, rows.d0);
            S::store(taps.dy1 + lane, rows.d1);
        } else {
            const Vector weight = S::load_first(weights + lane, n);
            const Vector upper = S::mul(weight, rows.w0), lower = S::mul(weight, rows.w1);
            S::store(taps.w00 + lane, S::mul(upper, columns.w0));
            S::store(taps.w01 + lane, S::mul(upper, columns.w1));
            S::store(taps.w10 + lane, S::mul(lower, columns.w0));
            S::store(taps.w11 + lane, S::mul(lower, columns.w1));
        }
    }
}

// Queries that are worth a thread: about ten microseconds of work.
inline int64_t queries_per_thread(const DeformAttnCall& call) {
    return larger(1, 4096 / (call.heads * call.levels * call.points));
}

}  // namespace
}  // namespace intern25
