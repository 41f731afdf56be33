// SPDX-License-Identifier: MIT
// Sixteen float lanes (AVX-512 F, BW, VL, DQ). The interface is described in vector_portable.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "export.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // raised inside gcc's own intrinsics
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace intern25 {
namespace {

struct Avx512 {
    using Real = float;
    using Vector = __m512;
    using Integers = __m512i;
    using Mask = __mmask16;
    static constexpr int width = 16;

    static INTERN25_INLINE Mask first(int n) { return static_cast<Mask>((1u << n) - 1u); }

    static INTERN25_INLINE Vector zero() { return _mm512_setzero_ps(); }
    static INTERN25_INLINE Vector broadcast(float x) { return _mm512_set1_ps(x); }
    static INTERN25_INLINE Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
    static INTERN25_INLINE Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
    static INTERN25_INLINE Vector mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
    static INTERN25_INLINE Vector div(Vector a, Vector b) { return _mm512_div_ps(a, b); }
    static INTERN25_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
    static INTERN25_INLINE Vector floor(Vector a) {
        return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }

    static INTERN25_INLINE Integers integers(int32_t x) { return _mm512_set1_epi32(x); }
    static INTERN25_INLINE Integers to_integers(Vector a) { return _mm512_cvttps_epi32(a); }
    static INTERN25_INLINE Integers add(Integers a, Integers b) { return _mm512_add_epi32(a, b); }
    static INTERN25_INLINE Integers sub(Integers a, Integers b) { return _mm512_sub_epi32(a, b); }
    static INTERN25_INLINE Integers mul(Integers a, Integers b) { return _mm512_mullo_epi32(a, b); }
    static INTERN25_INLINE Integers min(Integers a, Integers b) { return _mm512_min_epi32(a, b); }
    static INTERN25_INLINE Integers max(Integers a, Integers b) { return _mm512_max_epi32(a, b); }
    static INTERN25_INLINE void store(int32_t* to, Integers a) { _mm512_storeu_si512(to, a); }

    static INTERN25_INLINE Mask equal(Integers a, Integers b) { return _mm512_cmpeq_epi32_mask(a, b); }
    static INTERN25_INLINE Mask below(Integers a, Integers b) { return _mm512_cmplt_epu32_mask(a, b); }
    static INTERN25_INLINE Mask greater(Vector a, Vector b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
    static INTERN25_INLINE Mask within(Vector a, Vector bound) {
        return _mm512_cmp_ps_mask(_mm512_abs_ps(a), bound, _CMP_LE_OQ);
    }
    static INTERN25_INLINE Mask both(Mask a, Mask b) { return a & b; }
    static INTERN25_INLINE bool all(Mask a) { return a == 0xffff; }
    static INTERN25_INLINE Vector select(Mask m, Vector a, Vector b) { return _mm512_mask_blend_ps(m, b, a); }
    static INTERN25_INLINE Vector keep(Mask m, Vector a) { return _mm512_maskz_mov_ps(m, a); }

    static INTERN25_INLINE Vector scale_by_power_of_two(Vector a, Vector n) { return _mm512_scalef_ps(a, n); }
    static INTERN25_INLINE Vector round(Vector a) {
        return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }

    static INTERN25_INLINE float sum(Vector a) { return _mm512_reduce_add_ps(a); }

    static INTERN25_INLINE Vector load(const float* from) { return _mm512_loadu_ps(from); }
    static INTERN25_INLINE void store(float* to, Vector a) { _mm512_storeu_ps(to, a); }
    static INTERN25_INLINE Vector load_first(const float* from, int n) {
        return _mm512_maskz_loadu_ps(first(n), from);
    }
    static INTERN25_INLINE void store_first(float* to, Vector a, int n) { _mm512_mask_storeu_ps(to, first(n), a); }

    static INTERN25_INLINE Vector widen(__m256i a) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
    }
    static INTERN25_INLINE __m256i narrow(Vector a) {  // round to nearest even; NaN stays NaN
        const Integers bits = _mm512_castps_si512(a);
        const Integers odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), integers(1));
        const Integers rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, integers(0x7fff)));
        const Mask nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
        const Integers kept = _mm512_mask_or_epi32(rounded, nan, bits, integers(0x400000));
        return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
    }
    static INTERN25_INLINE Vector load_first(const bfloat16* from, int n) {
        return widen(_mm256_maskz_loadu_epi16(first(n), from));
    }
    static INTERN25_INLINE void store_first(bfloat16* to, Vector a, int n) {
        _mm256_mask_storeu_epi16(to, first(n), narrow(a));
    }

    static INTERN25_INLINE Vector load_channels(const float* from) { return load(from); }
    static INTERN25_INLINE void store_channels(float* to, Vector a) { store(to, a); }
    // One shuffle instead of widen's two steps: quarters of 4 channels come in the order 0, 2, 1, 3 ...
    static INTERN25_INLINE Vector load_channels(const bfloat16* from) {
        const Integers twice = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
        const Integers low = _mm512_broadcast_i32x4(
            _mm_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7));
        const Integers high = _mm512_broadcast_i32x4(
            _mm_setr_epi8(-1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15));
        return _mm512_castsi512_ps(_mm512_shuffle_epi8(twice, _mm512_mask_blend_epi64(0xf0, low, high)));
    }
    // ... and are put in order again here.
    static INTERN25_INLINE void store_channels(bfloat16* to, Vector a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow(_mm512_shuffle_f32x4(a, a, 0xd8)));
    }

    static INTERN25_INLINE void load_pairs(const float* from, int n, Vector& even, Vector& odd) {
        const uint32_t mask = n == width ? 0xffffffffu : (1u << (2 * n)) - 1u;
        const Vector low = _mm512_maskz_loadu_ps(static_cast<Mask>(mask), from);
        const Vector high = _mm512_maskz_loadu_ps(static_cast<Mask>(mask >> 16), from + 16);
        const Integers evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        even = _mm512_permutex2var_ps(low, evens, high);
        odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(evens, integers(1)), high);
    }
    static INTERN25_INLINE void load_pairs(const bfloat16* from, int n, Vector& even, Vector& odd) {
        const Integers pairs = _mm512_maskz_loadu_epi32(first(n), from);
        even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
        odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, integers(static_cast<int32_t>(0xffff0000u))));
    }
    static INTERN25_INLINE void store_pairs(float* to, Vector even, Vector odd, int n) {
        const uint32_t mask = n == width ? 0xffffffffu : (1u << (2 * n)) - 1u;
        const Integers low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        _mm512_mask_storeu_ps(to, static_cast<Mask>(mask), _mm512_permutex2var_ps(even, low, odd));
        _mm512_mask_storeu_ps(to + 16, static_cast<Mask>(mask >> 16),
                              _mm512_permutex2var_ps(even, _mm512_add_epi32(low, integers(8)), odd));
    }
    static INTERN25_INLINE void store_pairs(bfloat16* to, Vector even, Vector odd, int n) {
        const Integers low = _mm512_cvtepu16_epi32(narrow(even));
        const Integers high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(odd)), 16);
        _mm512_mask_storeu_epi32(to, first(n), _mm512_or_si512(low, high));
    }

    // Lane i of the result is the sum over the lanes of rows[i].
    static INTERN25_INLINE Vector sum_rows(const Vector* rows) {
        const Vector q0 = sum_quarters(rows), q1 = sum_quarters(rows + 4);
        const Vector q2 = sum_quarters(rows + 8), q3 = sum_quarters(rows + 12);
        const Vector a = add(_mm512_shuffle_f32x4(q0, q1, 0x44), _mm512_shuffle_f32x4(q0, q1, 0xee));
        const Vector b = add(_mm512_shuffle_f32x4(q2, q3, 0x44), _mm512_shuffle_f32x4(q2, q3, 0xee));
        return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
    // Four consecutive lanes to each destination.
    static INTERN25_INLINE void store_quarters(float* to0, float* to1, float* to2, float* to3, Vector a) {
        _mm_storeu_ps(to0, _mm512_castps512_ps128(a));
        _mm_storeu_ps(to1, _mm512_extractf32x4_ps(a, 1));
        _mm_storeu_ps(to2, _mm512_extractf32x4_ps(a, 2));
        _mm_storeu_ps(to3, _mm512_extractf32x4_ps(a, 3));
    }

private:
    // In every quarter of the result: the sums over that quarter of the four rows.
    static INTERN25_INLINE Vector sum_quarters(const Vector* rows) {
        const __m512d ab = _mm512_castps_pd(
            add(_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1])));
        const __m512d cd = _mm512_castps_pd(
            add(_mm512_unpacklo_ps(rows[2], rows[3]), _mm512_unpackhi_ps(rows[2], rows[3])));
        return add(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
    }
};

}  // namespace
}  // namespace intern25
