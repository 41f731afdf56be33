// SPDX-License-Identifier: MIT
// Lanes without intrinsics, which compilers map to whatever the target has (SSE2, NEON, ...).
//
// The interface of every vector type. `Vector` holds `width` reals, `Integers` as many int32, `Mask` as many truths.
//   below            unsigned a < b, so one comparison tests 0 <= a < b
//   within           |a| <= bound, false for NaN
//   keep             a where the mask is set, else 0
//   load_first(p, n) n <= width elements, zeros behind them; never touches memory past them
//   load_channels    width channels in an order of the type's own, the same at every load; store_channels undoes it
//   load_pairs       n interleaved (even, odd) pairs
//   sum_rows         lane i of the result is the sum over the lanes of rows[i]
//   store_quarters   the four quarters of a vector to four places
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lanes.h"

namespace intern25 {
namespace {

template <class Float, int N>
struct Portable {
    using Real = Float;
    using Integer = typename SignedOf<sizeof(Float)>::type;  // as wide as a real: masks and values line up
    using Unsigned = typename SignedOf<sizeof(Float)>::unsigned_type;
    using Vector = Lanes<Float, N>;
    using Integers = Lanes<Integer, N>;
    using Unsigneds = Lanes<Unsigned, N>;
    using Mask = Integers;
    static constexpr int width = N;

    static INTERN25_INLINE Vector zero() { return broadcast(0); }
    static INTERN25_INLINE Vector broadcast(Float x) {
        Vector out;
        for (int i = 0; i < N; ++i) out[i] = x;
        return out;
    }
    static INTERN25_INLINE Vector add(Vector a, Vector b) { return a + b; }
    static INTERN25_INLINE Vector sub(Vector a, Vector b) { return a - b; }
    static INTERN25_INLINE Vector mul(Vector a, Vector b) { return a * b; }
    static INTERN25_INLINE Vector div(Vector a, Vector b) { return a / b; }
    static INTERN25_INLINE Vector fma(Vector a, Vector b, Vector c) {
#if defined(__ARM_FEATURE_FMA)
        for (int i = 0; i < N; ++i) c[i] = fused(a[i], b[i], c[i]);
        return c;
#else
        return a * b + c;  // without the instruction a fused one is a slow library call
#endif
    }
    // Beyond +-2^30, where this is no floor, every point is outside of every image anyway.
    static INTERN25_INLINE Vector floor(Vector a) {
        const Vector towards_zero = convert_lanes<Vector>(to_integers(a));
        return towards_zero - keep(towards_zero > a, broadcast(1));
    }
    static INTERN25_INLINE Vector round(Vector a) { return floor(a + broadcast(Float(0.5))); }

    static INTERN25_INLINE Integers integers(int32_t x) {
        Integers out;
        for (int i = 0; i < N; ++i) out[i] = x;
        return out;
    }
    static INTERN25_INLINE Integers to_integers(Vector a) {  // NaN and what does not fit end far outside
        const Vector most = broadcast(1073741824);
        const Vector bounded = select(a > zero() - most, a, zero() - most);
        return convert_lanes<Integers>(select(bounded < most, bounded, most));
    }
    static INTERN25_INLINE Integers add(Integers a, Integers b) { return a + b; }  // no sum here leaves int32
    static INTERN25_INLINE Integers sub(Integers a, Integers b) { return a - b; }
    static INTERN25_INLINE Integers mul(Integers a, Integers b) { return a * b; }
    static INTERN25_INLINE Integers min(Integers a, Integers b) { return choose(a < b, a, b); }
    static INTERN25_INLINE Integers max(Integers a, Integers b) { return choose(a > b, a, b); }
    static INTERN25_INLINE void store(int32_t* to, Integers a) {
        for (int i = 0; i < N; ++i) to[i] = static_cast<int32_t>(a[i]);
    }

    static INTERN25_INLINE Mask equal(Integers a, Integers b) { return a == b; }
    static INTERN25_INLINE Mask below(Integers a, Integers b) {
        return reinterpret_lanes<Mask>(reinterpret_lanes<Unsigneds>(a) < reinterpret_lanes<Unsigneds>(b));
    }
    static INTERN25_INLINE Mask greater(Vector a, Vector b) { return a > b; }
    static INTERN25_INLINE Mask within(Vector a, Vector bound) { return (a <= bound) & (zero() - bound <= a); }
    static INTERN25_INLINE Mask both(Mask a, Mask b) { return a & b; }
    static INTERN25_INLINE bool all(Mask a) {
        Integer out = a[0];
        for (int i = 1; i < N; ++i) out &= a[i];
        return out != 0;
    }
    static INTERN25_INLINE Vector select(Mask m, Vector a, Vector b) {
        return reinterpret_lanes<Vector>(choose(m, reinterpret_lanes<Integers>(a), reinterpret_lanes<Integers>(b)));
    }
    static INTERN25_INLINE Vector keep(Mask m, Vector a) {
        return reinterpret_lanes<Vector>(m & reinterpret_lanes<Integers>(a));
    }

    // a and the result are normal numbers; NaN stays NaN.
    static INTERN25_INLINE Vector scale_by_power_of_two(Vector a, Vector n) {
        static_assert(sizeof(Float) == 4, "float64 uses the library's exp");
        const Integers exponent = convert_lanes<Integers>(keep(n == n, n)) * integers(1 << 23);
        return reinterpret_lanes<Vector>(reinterpret_lanes<Integers>(a) + exponent);
    }

    static INTERN25_INLINE Float sum(Vector a) {
        Float out = a[0];
        for (int i = 1; i < N; ++i) out += a[i];
        return out;
    }

    static INTERN25_INLINE Vector load(const Float* from) {
        Vector out;
        memcpy(&out, from, sizeof out);
        return out;
    }
    static INTERN25_INLINE void store(Float* to, Vector a) { memcpy(to, &a, sizeof a); }
    static INTERN25_INLINE Vector load_first(const Float* from, int n) {
        return n == N ? load(from) : load_some(from, n);
    }
    static INTERN25_INLINE Vector load_first(const bfloat16* from, int n) {
        return n == N ? load_channels(from) : load_some(from, n);
    }
    static INTERN25_INLINE void store_first(Float* to, Vector a, int n) {
        n == N ? store(to, a) : store_some(to, a, n);
    }
    static INTERN25_INLINE void store_first(bfloat16* to, Vector a, int n) { store_some(to, a, n); }
    static INTERN25_INLINE Vector load_channels(const Float* from) { return load(from); }
    static INTERN25_INLINE void store_channels(Float* to, Vector a) { store(to, a); }
    static INTERN25_INLINE Vector load_channels(const bfloat16* from) {
        Lanes<uint16_t, N> half;
        memcpy(&half, from, sizeof half);
        return reinterpret_lanes<Vector>(convert_lanes<Unsigneds>(half) * convert_lanes<Unsigneds>(integers(65536)));
    }
    static INTERN25_INLINE void store_channels(bfloat16* to, Vector a) { store_some(to, a, N); }

    template <class Stored>
    static INTERN25_INLINE void load_pairs(const Stored* from, int n, Vector& even, Vector& odd) {
        even = zero();
        odd = zero();
        for (int i = 0; i < n; ++i) {
            even[i] = read(from[2 * i]);
            odd[i] = read(from[2 * i + 1]);
        }
    }
    template <class Stored>
    static INTERN25_INLINE void store_pairs(Stored* to, Vector even, Vector odd, int n) {
        for (int i = 0; i < n; ++i) {
            write(to + 2 * i, even[i]);
            write(to + 2 * i + 1, odd[i]);
        }
    }

    static INTERN25_INLINE Vector sum_rows(const Vector* rows) {
        Vector out;
        for (int i = 0; i < N; ++i) out[i] = sum(rows[i]);
        return out;
    }
    static INTERN25_INLINE void store_quarters(Float* to0, Float* to1, Float* to2, Float* to3, Vector a) {
        Float* const to[4] = {to0, to1, to2, to3};
        for (int i = 0; i < N; ++i) to[i / (N / 4)][i % (N / 4)] = a[i];
    }

private:
    static INTERN25_INLINE Integers choose(Mask m, Integers a, Integers b) { return (m & a) | (~m & b); }
    static INTERN25_INLINE float fused(float a, float b, float c) { return ::fmaf(a, b, c); }
    static INTERN25_INLINE double fused(double a, double b, double c) { return ::fma(a, b, c); }

    template <class Stored>
    static Vector load_some(const Stored* from, int n) {
        Vector out = zero();
        for (int i = 0; i < n; ++i) out[i] = read(from[i]);
        return out;
    }
    template <class Stored>
    static void store_some(Stored* to, Vector a, int n) {
        for (int i = 0; i < n; ++i) write(to + i, a[i]);
    }
    static INTERN25_INLINE Float read(Float from) { return from; }
    static INTERN25_INLINE Float read(bfloat16 from) {
        const uint32_t bits = uint32_t(from.bits) << 16;
        float out;
        memcpy(&out, &bits, sizeof out);
        return Float(out);
    }
    static INTERN25_INLINE void write(Float* to, Float value) { *to = value; }
    static INTERN25_INLINE void write(bfloat16* to, Float value) {  // round to nearest even; NaN stays NaN
        const float narrow = float(value);
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        const uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
        to->bits = static_cast<uint16_t>((narrow != narrow ? (bits | 0x400000u) : rounded) >> 16);
    }
};

}  // namespace
}  // namespace intern25
