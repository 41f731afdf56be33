// SPDX-License-Identifier: MIT
// DCNv3 backward in two passes, both parallel, neither with atomics, the result the same for any number of threads.
//
//   1. Over output pixels: gradients of offset and mask. Needs <grad_output, corner> for the 4 * K corners of every
//      group; the products of several taps are summed over their lanes together (sum_rows).
//   2. Over bands of input rows: gradient of the value. A task owns a band, visits the output pixels that reach into
//      it in raster order and adds only to its own rows. So every element gets its terms in one fixed order, however
//      the rows are cut. Pass 1 leaves, for every output pixel, the rows it reaches.
#pragma once

#include "dcnv3_taps.h"
#include "parallel.h"

namespace intern25 {
namespace {

// Input rows [first, last] that something reads.
struct Reach {
    int32_t first, last;
};

// Inner products of S::width / 4 taps from `lane` on. At the end of a block (`rest`) fewer are left: the last one is
// repeated, and what that gives is never used.
template <class S, int kDepth, bool rest, class Value>
INTERN25_INLINE void some_corner_products(const Value* image, const Value* grad, const int32_t* base,
                                          const int32_t* channel_of_lane, int64_t lane, int64_t count,
                                          int64_t channels, int64_t depth, Patch patch,
                                          const Products<typename S::Real>& products) {
    constexpr int at_once = S::width / 4;
    typename S::Vector rows[S::width];
    for (int i = 0; i < at_once; ++i) {
        const int64_t tap = rest ? smaller(lane + i, count - 1) : lane + i;
        const int64_t c = channel_of_lane[tap];
        const Value* corner = image + base[tap] * channels + c;
        rows[i] = lane_products<S, kDepth>(corner, grad + c, depth);
        rows[at_once + i] = lane_products<S, kDepth>(corner + patch.right, grad + c, depth);
        rows[2 * at_once + i] = lane_products<S, kDepth>(corner + patch.below, grad + c, depth);
        rows[3 * at_once + i] = lane_products<S, kDepth>(corner + patch.below + patch.right, grad + c, depth);
    }
    S::store_quarters(products.p00 + lane, products.p01 + lane, products.p10 + lane, products.p11 + lane,
                      S::sum_rows(rows));
}

// Inner products of all taps of a block.
template <class S, int kDepth, class Value>
INTERN25_INLINE void corner_products(const Value* image, const Value* grad, const int32_t* base,
                                     const int32_t* channel_of_lane, int64_t count,
                                     const Sampling<typename S::Real>& sampling, Patch patch,
                                     const Products<typename S::Real> products) {
    const int64_t depth = kDepth ? kDepth : sampling.group_channels, channels = sampling.channels;
    int64_t lane = 0;
    for (; lane + S::width / 4 <= count; lane += S::width / 4) {
        some_corner_products<S, kDepth, false>(image, grad, base, channel_of_lane, lane, count, channels, depth,
                                               patch, products);
    }
    if (lane < count) {
        some_corner_products<S, kDepth, true>(image, grad, base, channel_of_lane, lane, count, channels, depth,
                                              patch, products);
    }
}

// Divides the softmax by its sums, in place.
template <class S>
INTERN25_INLINE void normalise(const Taps<typename S::Real>& taps, int64_t groups, int64_t points) {
    for (int64_t g = 0; g < groups; ++g) {
        const auto inverse = S::broadcast(taps.inverse_sum[g]);
        typename S::Real* mask = taps.mask + g * points;
        for (int64_t k = 0; k < points; k += S::width) {
            const int n = static_cast<int>(smaller(S::width, points - k));
            S::store_first(mask + k, S::mul(S::load_first(mask + k, n), inverse), n);
        }
    }
}

// Gradients of the softmax's logits from those of its results: p * (g - <p, g>).
template <class S, class Stored>
INTERN25_INLINE void softmax_backward(const typename S::Real* probability, const typename S::Real* grad,
                                      int64_t groups, int64_t points, Stored* grad_logits) {
    using Vector = typename S::Vector;
    for (int64_t first = 0; first < groups * points; first += points) {
        Vector products = S::zero();
        for (int64_t k = first; k < first + points; k += S::width) {
            const int n = static_cast<int>(smaller(S::width, first + points - k));
            products = S::fma(S::load_first(probability + k, n), S::load_first(grad + k, n), products);
        }
        const Vector inner = S::broadcast(S::sum(products));
        for (int64_t k = first; k < first + points; k += S::width) {
            const int n = static_cast<int>(smaller(S::width, first + points - k));
            const Vector centred = S::sub(S::load_first(grad + k, n), inner);
            S::store_first(grad_logits + k, S::mul(S::load_first(probability + k, n), centred), n);
        }
    }
}

// Gradients of offset and mask of a block from the inner products of its taps.
template <class S, class Stored>
INTERN25_INLINE void sampling_gradients(const Sampling<typename S::Real>& sampling,
                                        const Taps<typename S::Real>& taps,
                                        const Products<typename S::Real>& products, int64_t groups,
                                        Stored* grad_offset, Stored* grad_mask) {
    using Vector = typename S::Vector;
    const int64_t count = groups * sampling.points;
    const Vector scale = S::broadcast(sampling.scale);
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
        const Vector by_mask = S::fma(y0, upper, S::mul(y1, lower));
        const Vector modulation = S::mul(S::load(taps.mask + lane), scale);
        const Vector by_x = S::mul(modulation, S::fma(y0, slope_upper, S::mul(y1, slope_lower)));
        const Vector by_y = S::mul(modulation, S::fma(dy0, upper, S::mul(dy1, lower)));
        S::store_pairs(grad_offset + 2 * lane, by_x, by_y, n);
        if (sampling.softmax) {
            S::store(products.p00 + lane, by_mask);
        } else {
            S::store_first(grad_mask + lane, by_mask, n);
        }
    }
    if (sampling.softmax) softmax_backward<S>(taps.mask, products.p00, groups, sampling.points, grad_mask);
}

// Rows the taps of a block read.
template <class S>
INTERN25_INLINE void widen_reach(const int32_t* row, int64_t count, int64_t height, Reach& reach) {
    int32_t first = row[0], last = row[0];
    for (int64_t lane = 1; lane < count; ++lane) {
        first = row[lane] < first ? row[lane] : first;
        last = row[lane] > last ? row[lane] : last;
    }
    last = static_cast<int32_t>(smaller(last + 1, height - 1));
    reach.first = first < reach.first ? first : reach.first;
    reach.last = last > reach.last ? last : reach.last;
}

template <class S, int kDepth, class Value, class Stored>
int sample_pixels(const Dcnv3Call& call, const Sampling<typename S::Real>& sampling, Reach* reach, int64_t begin,
                  int64_t end) {
    using Real = typename S::Real;
    const int64_t lanes = sampling.lanes;
    const Scratch scratch((Taps<Real>::reals(lanes) + 5 * lanes) * static_cast<int64_t>(sizeof(Real)));
    if (scratch.missing()) return kOutOfMemory;
    Real* const memory = scratch.as<Real>();
    const auto products = Products<Real>::in(memory, lanes);
    int32_t* const channel_of_lane = reinterpret_cast<int32_t*>(memory + 4 * lanes);
    const Taps<Real> taps = Taps<Real>::in(memory + 5 * lanes, lanes);
    const Patch patch = Patch::of(call.height, call.width, sampling.channels);
    const int64_t points = sampling.points;
    for (int64_t lane = 0; lane < lanes; ++lane) {
        channel_of_lane[lane] = static_cast<int32_t>(lane / points * sampling.group_channels);
    }
    for (int64_t index = begin; index < end; ++index) {
        const Pixel pixel = Pixel::at(call, index);
        const Value* image = static_cast<const Value*>(call.value) + pixel.image * image_size(call);
        const Value* grad = static_cast<const Value*>(call.grad_output) + index * sampling.channels;
        const Stored* offset = static_cast<const Stored*>(call.offset) + index * call.offset_stride;
        const Stored* mask = static_cast<const Stored*>(call.mask) + index * call.mask_stride;
        Stored* grad_mask = static_cast<Stored*>(call.grad_mask) + index * call.groups * points;
        Stored* grad_offset = static_cast<Stored*>(call.grad_offset) + 2 * index * call.groups * points;
        reach[index] = {INT32_MAX, -1};
        for (int64_t group = 0; group < call.groups; group += kGroupsInBlock) {
            const int64_t groups = smaller(kGroupsInBlock, call.groups - group);
            const int64_t lane = group * points, c = group * sampling.group_channels, count = groups * points;
            place_taps<S, Purpose::kSample>(sampling, offset + 2 * lane, mask + lane, groups, pixel, taps);
            widen_reach<S>(taps.row, count, call.height, reach[index]);
            corner_products<S, kDepth>(image + c, grad + c, taps.base, channel_of_lane, count, sampling, patch,
                                       products);
            if (sampling.softmax) normalise<S>(taps, groups, points);
            sampling_gradients<S>(sampling, taps, products, groups, grad_offset + 2 * lane, grad_mask + lane);
        }
    }
    return kOk;
}

// A band of rows of one image's gradient, accumulated in the arithmetic type.
template <class Real>
struct Band {
    Real* rows;          // first row of the band
    int64_t first, end;  // rows
};

// Adds one pixel and block of groups to the band. Only rows of the band are touched; `whole` says all of them are.
// Arguments by value: stores through Real* could otherwise change them in the compiler's eyes.
template <class S, int kDepth, bool whole, class Value>
INTERN25_INLINE void scatter_block(const Band<typename S::Real> band, int64_t first_channel, const Value* grad,
                                   const Taps<typename S::Real> taps, int64_t groups, int64_t points, int64_t width,
                                   int64_t channels, int64_t group_channels, Patch patch) {
    const int64_t depth = kDepth ? kDepth : group_channels;
    const int64_t first_element = first_channel - band.first * width * channels;
    for (int64_t g = 0; g < groups; ++g) {
        const GroupGradient<S, kDepth, Value> gradient(grad + g * depth, taps.inverse_sum[g], depth);
        for (int64_t lane = g * points; lane < (g + 1) * points; ++lane) {
            typename S::Real* corner = band.rows + (taps.base[lane] * channels + first_element + g * depth);
            const int64_t row = taps.row[lane];
            if (whole || (row >= band.first && row < band.end)) {
                gradient.add_to(corner, taps.w00[lane]);
                gradient.add_to(corner + patch.right, taps.w01[lane]);
            }
            if (whole || (row + 1 >= band.first && row + 1 < band.end)) {
                gradient.add_to(corner + patch.below, taps.w10[lane]);
                gradient.add_to(corner + patch.below + patch.right, taps.w11[lane]);
            }
        }
    }
}

template <class S, int kDepth, class Value, class Stored>
void scatter_band(const Dcnv3Call& call, const Sampling<typename S::Real>& sampling, const Reach* reach,
                  const Reach* row_reach, int64_t image, const Band<typename S::Real>& band,
                  const Taps<typename S::Real>& taps) {
    const Patch patch = Patch::of(call.height, call.width, sampling.channels);
    for (int64_t y = 0; y < call.out_height; ++y) {
        const int64_t out_row = image * call.out_height + y;
        if (row_reach[out_row].last < band.first || row_reach[out_row].first >= band.end) continue;
        for (int64_t x = 0; x < call.out_width; ++x) {
            const int64_t index = out_row * call.out_width + x;
            const Reach rows = reach[index];
            if (rows.last < band.first || rows.first >= band.end) continue;
            const bool whole = call.height > 1 && rows.first >= band.first && rows.last < band.end;
            const Stored* offset = static_cast<const Stored*>(call.offset) + index * call.offset_stride;
            const Stored* mask = static_cast<const Stored*>(call.mask) + index * call.mask_stride;
            const Value* grad = static_cast<const Value*>(call.grad_output) + index * sampling.channels;
            for (int64_t group = 0; group < call.groups; group += kGroupsInBlock) {
                const int64_t groups = smaller(kGroupsInBlock, call.groups - group);
                const int64_t lane = group * sampling.points, c = group * sampling.group_channels;
                place_taps<S, Purpose::kScatter>(sampling, offset + 2 * lane, mask + lane, groups, {image, y, x},
                                                 taps);
                if (whole) {
                    scatter_block<S, kDepth, true>(band, c, grad + c, taps, groups, sampling.points, sampling.width,
                                                   sampling.channels, sampling.group_channels, patch);
                } else {
                    scatter_block<S, kDepth, false>(band, c, grad + c, taps, groups, sampling.points, sampling.width,
                                                    sampling.channels, sampling.group_channels, patch);
                }
            }
        }
    }
}

// From the accumulator's channel order and type to the tensor's.
template <class S, class Value>
void store_band(const Band<typename S::Real>& band, const Sampling<typename S::Real>& sampling, Value* to) {
    const int64_t depth = sampling.group_channels;
    const int64_t groups = (band.end - band.first) * sampling.width * sampling.channels / depth;
    for (int64_t g = 0; g < groups; ++g) {
        int64_t c = g * depth;
        const int64_t end = c + depth;
        for (; c + S::width <= end; c += S::width) S::store_channels(to + c, S::load(band.rows + c));
        if (c < end) {
            const int n = static_cast<int>(end - c);
            S::store_first(to + c, S::load_first(band.rows + c, n), n);
        }
    }
}

template <class Value, class Real>
constexpr bool kAccumulatesInPlace = sizeof(Value) == sizeof(Real);

// How many bands an image's rows are cut into: enough to occupy the threads, or to keep a band in the cache.
template <class Value, class Real>
int64_t bands_of(const Dcnv3Call& call) {
    int64_t bands = call.threads > 1 ? divide_up(2 * call.threads, larger(call.batch, 1)) : 1;
    if (!kAccumulatesInPlace<Value, Real>) {
        const int64_t band_bytes = 4 << 20;
        bands = larger(bands, image_size(call) * static_cast<int64_t>(sizeof(Real)) / band_bytes);
    }
    return larger(1, smaller(bands, call.height / 4));
}

template <class S, int kDepth, class Value, class Stored>
int scatter_bands(const Dcnv3Call& call, const Sampling<typename S::Real>& sampling, const Reach* reach,
                  const Reach* row_reach, int64_t bands, int64_t begin, int64_t end) {
    using Real = typename S::Real;
    constexpr bool in_place = kAccumulatesInPlace<Value, Real>;
    const int64_t row_size = call.width * sampling.channels;
    const int64_t accumulators = in_place ? 0 : divide_up(call.height, bands) * row_size;
    const int64_t tap_reals = divide_up(Taps<Real>::reals(sampling.lanes), 16) * 16;
    const Scratch scratch((tap_reals + accumulators) * static_cast<int64_t>(sizeof(Real)));
    if (scratch.missing()) return kOutOfMemory;
    const Taps<Real> taps = Taps<Real>::in(scratch.as<Real>(), sampling.lanes);
    for (int64_t task = begin; task < end; ++task) {
        const int64_t image = task / bands, part = task % bands;
        Band<Real> band;
        band.first = part * call.height / bands;
        band.end = (part + 1) * call.height / bands;
        Value* to = static_cast<Value*>(call.grad_value) + image * image_size(call) + band.first * row_size;
        band.rows = in_place ? reinterpret_cast<Real*>(to) : scratch.as<Real>() + tap_reals;
        memset(band.rows, 0, static_cast<size_t>((band.end - band.first) * row_size) * sizeof(Real));
        scatter_band<S, kDepth, Value, Stored>(call, sampling, reach, row_reach, image, band, taps);
        if (!in_place) store_band<S>(band, sampling, to);
    }
    return kOk;
}

// What the pixels of each output row reach together, to skip whole rows.
inline void reach_of_rows(const Reach* reach, int64_t rows, int64_t width, Reach* row_reach) {
    for (int64_t row = 0; row < rows; ++row) {
        Reach all = {INT32_MAX, -1};
        for (int64_t x = 0; x < width; ++x) {
            const Reach one = reach[row * width + x];
            all.first = one.first < all.first ? one.first : all.first;
            all.last = one.last > all.last ? one.last : all.last;
        }
        row_reach[row] = all;
    }
}

template <class S, int kDepth, class Value, class Stored>
int backward_of_depth(const Dcnv3Call& call) {
    using Real = typename S::Real;
    Sampling<Real> sampling = Sampling<Real>::of(call);
    const int64_t rows = call.batch * call.out_height, pixels = rows * call.out_width;
    const Scratch grid(sampling.grid_bytes());
    const Scratch reaches((pixels + rows) * static_cast<int64_t>(sizeof(Reach)));
    if (grid.missing() || reaches.missing()) return kOutOfMemory;
    sampling.place_grid(call, grid.as<Real>());
    Reach* const reach = reaches.as<Reach>();
    Reach* const row_reach = reach + pixels;

    const int failed = parallel_ranges(
        pixels, pixels_per_thread(call), call.threads, [&](int64_t begin, int64_t end) {
            return sample_pixels<S, kDepth, Value, Stored>(call, sampling, reach, begin, end);
        });
    if (failed) return failed;
    reach_of_rows(reach, rows, call.out_width, row_reach);
    const int64_t bands = bands_of<Value, Real>(call);
    return parallel_ranges(call.batch * bands, 1, call.threads, [&](int64_t begin, int64_t end) {
        return scatter_bands<S, kDepth, Value, Stored>(call, sampling, reach, row_reach, bands, begin, end);
    });
}

template <class S, class Value, class Stored>
int backward(const Dcnv3Call& call) {
    if constexpr (kHasKnownSizes<S>) {
        if (call.group_channels == 16) return backward_of_depth<S, 16, Value, Stored>(call);
        if (call.group_channels == 32) return backward_of_depth<S, 32, Value, Stored>(call);
    }
    return backward_of_depth<S, 0, Value, Stored>(call);
}

}  // namespace
}  // namespace intern25
