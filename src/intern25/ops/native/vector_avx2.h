// SPDX-License-Identifier: MIT
// Eight float lanes (AVX2 + FMA). The interface is described in vector_portable.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "export.h"

namespace intern25 {
namespace {

struct Avx2 {
    using Real = float;
    using Vector = __m256;
    using Integers = __m256i;
    using Mask = __m256;
    static constexpr int width = 8;

    static INTERN25_INLINE Integers first(int n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }

    static INTERN25_INLINE Vector zero() { return _mm256_setzero_ps(); }
    static INTERN25_INLINE Vector broadcast(float x) { return _mm256_set1_ps(x); }
    static INTERN25_INLINE Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
    static INTERN25_INLINE Vector sub(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
    static INTERN25_INLINE Vector mul(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
    static INTERN25_INLINE Vector div(Vector a, Vector b) { return _mm256_div_ps(a, b); }
    static INTERN25_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
    static INTERN25_INLINE Vector floor(Vector a) { return _mm256_floor_ps(a); }

    static INTERN25_INLINE Integers integers(int32_t x) { return _mm256_set1_epi32(x); }
    static INTERN25_INLINE Integers to_integers(Vector a) { return _mm256_cvttps_epi32(a); }
    static INTERN25_INLINE Integers add(Integers a, Integers b) { return _mm256_add_epi32(a, b); }
    static INTERN25_INLINE Integers sub(Integers a, Integers b) { return _mm256_sub_epi32(a, b); }
    static INTERN25_INLINE Integers mul(Integers a, Integers b) { return _mm256_mullo_epi32(a, b); }
    static INTERN25_INLINE Integers min(Integers a, Integers b) { return _mm256_min_epi32(a, b); }
    static INTERN25_INLINE Integers max(Integers a, Integers b) { return _mm256_max_epi32(a, b); }
    static INTERN25_INLINE void store(int32_t* to, Integers a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
    }

    static INTERN25_INLINE Mask equal(Integers a, Integers b) {
        return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
    }
    static INTERN25_INLINE Mask below(Integers a, Integers b) {  // AVX2 compares signed only: flip the top bits
        const Integers top = integers(INT32_MIN);
        return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_xor_si256(b, top), _mm256_xor_si256(a, top)));
    }
    static INTERN25_INLINE Mask greater(Vector a, Vector b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
    static INTERN25_INLINE Mask within(Vector a, Vector bound) {
        return _mm256_cmp_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a), bound, _CMP_LE_OQ);
    }
    static INTERN25_INLINE Mask both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
    static INTERN25_INLINE bool all(Mask a) { return _mm256_movemask_ps(a) == 0xff; }
    static INTERN25_INLINE Vector select(Mask m, Vector a, Vector b) { return _mm256_blendv_ps(b, a, m); }
    static INTERN25_INLINE Vector keep(Mask m, Vector a) { return _mm256_and_ps(m, a); }

    static INTERN25_INLINE Vector scale_by_power_of_two(Vector a, Vector n) {
        const Integers exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent));
    }
    static INTERN25_INLINE Vector round(Vector a) {
        return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }

    static INTERN25_INLINE float sum(Vector a) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
    }

    static INTERN25_INLINE Vector load(const float* from) { return _mm256_loadu_ps(from); }
    static INTERN25_INLINE void store(float* to, Vector a) { _mm256_storeu_ps(to, a); }
    static INTERN25_INLINE Vector load_first(const float* from, int n) {
        return n == width ? load(from) : _mm256_maskload_ps(from, first(n));
    }
    static INTERN25_INLINE void store_first(float* to, Vector a, int n) {
        if (n == width) return store(to, a);
        _mm256_maskstore_ps(to, first(n), a);
    }

    static INTERN25_INLINE Vector widen(__m128i a) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
    }
    static INTERN25_INLINE Integers round_to_upper_half(Vector a) {  // nearest even; NaN stays NaN
        const Integers bits = _mm256_castps_si256(a);
        const Integers odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), integers(1));
        const Integers rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, integers(0x7fff)));
        const Mask nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
        const Vector quiet = _mm256_castsi256_ps(_mm256_or_si256(bits, integers(0x400000)));
        return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, nan));
    }
    static INTERN25_INLINE __m128i narrow(Vector a) {
        const Integers words = _mm256_srli_epi32(round_to_upper_half(a), 16);
        const Integers packed = _mm256_packus_epi32(words, words);
        return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
    }
    static INTERN25_INLINE Vector load_first(const bfloat16* from, int n) {
        if (n == width) return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
        bfloat16 copy[width] = {};
        memcpy(copy, from, static_cast<size_t>(n) * sizeof(bfloat16));
        return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(copy)));
    }
    static INTERN25_INLINE void store_first(bfloat16* to, Vector a, int n) {
        bfloat16 copy[width];
        _mm_storeu_si128(reinterpret_cast<__m128i*>(copy), narrow(a));
        memcpy(to, copy, static_cast<size_t>(n) * sizeof(bfloat16));
    }

    static INTERN25_INLINE Vector load_channels(const float* from) { return load(from); }
    static INTERN25_INLINE void store_channels(float* to, Vector a) { store(to, a); }
    static INTERN25_INLINE Vector load_channels(const bfloat16* from) {  // one shuffle instead of widen's two steps
        const Integers twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
        const Integers spread = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1, -1, 8, 9,
                                                 -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
        return _mm256_castsi256_ps(_mm256_shuffle_epi8(twice, spread));
    }
    static INTERN25_INLINE void store_channels(bfloat16* to, Vector a) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrow(a));
    }

    static INTERN25_INLINE void load_pairs(const float* from, int n, Vector& even, Vector& odd) {
        Vector low, high;
        if (n == width) {
            low = load(from);
            high = load(from + 8);
        } else {
            low = _mm256_maskload_ps(from, first(2 * n));
            high = _mm256_maskload_ps(from + 8, first(2 * n - 8));
        }
        const Vector a = _mm256_permute2f128_ps(low, high, 0x20), b = _mm256_permute2f128_ps(low, high, 0x31);
        even = _mm256_shuffle_ps(a, b, 0x88);
        odd = _mm256_shuffle_ps(a, b, 0xdd);
    }
    static INTERN25_INLINE void load_pairs(const bfloat16* from, int n, Vector& even, Vector& odd) {
        const Integers pairs = _mm256_maskload_epi32(reinterpret_cast<const int*>(from), first(n));
        even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
        odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, integers(static_cast<int32_t>(0xffff0000u))));
    }
    static INTERN25_INLINE void store_pairs(float* to, Vector even, Vector odd, int n) {
        const Vector a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
        const Vector low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
        if (n == width) {
            store(to, low);
            store(to + 8, high);
        } else {
            _mm256_maskstore_ps(to, first(2 * n), low);
            _mm256_maskstore_ps(to + 8, first(2 * n - 8), high);
        }
    }
    static INTERN25_INLINE void store_pairs(bfloat16* to, Vector even, Vector odd, int n) {
        const Integers low = _mm256_srli_epi32(round_to_upper_half(even), 16);
        const Integers high = _mm256_and_si256(round_to_upper_half(odd), integers(static_cast<int32_t>(0xffff0000u)));
        _mm256_maskstore_epi32(reinterpret_cast<int*>(to), first(n), _mm256_or_si256(low, high));
    }

    static INTERN25_INLINE Vector sum_rows(const Vector* rows) {
        const Vector q0 = sum_halves(rows), q1 = sum_halves(rows + 4);
        return add(_mm256_permute2f128_ps(q0, q1, 0x20), _mm256_permute2f128_ps(q0, q1, 0x31));
    }
    // Two consecutive lanes to each destination.
    static INTERN25_INLINE void store_quarters(float* to0, float* to1, float* to2, float* to3, Vector a) {
        const __m128 low = _mm256_castps256_ps128(a), high = _mm256_extractf128_ps(a, 1);
        _mm_storel_pi(reinterpret_cast<__m64*>(to0), low);
        _mm_storeh_pi(reinterpret_cast<__m64*>(to1), low);
        _mm_storel_pi(reinterpret_cast<__m64*>(to2), high);
        _mm_storeh_pi(reinterpret_cast<__m64*>(to3), high);
    }

private:
    // In both halves of the result: the sums over that half of the four rows.
    static INTERN25_INLINE Vector sum_halves(const Vector* rows) {
        return _mm256_hadd_ps(_mm256_hadd_ps(rows[0], rows[1]), _mm256_hadd_ps(rows[2], rows[3]));
    }
};

}  // namespace
}  // namespace intern25
