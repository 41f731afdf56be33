// SPDX-License-Identifier: MIT
// Exact GELU, x (1 + erf(x / sqrt 2)) / 2, without a division: erf from one polynomial.
#pragma once

#include <stdint.h>

#include "exponential.h"

namespace intern25 {
namespace {

// erf(z) / z as a polynomial of u = 2 (z / 3.83)^2 - 1, least maximum of |error * z| over [0, 3.83] (5.9e-8, with
// float32 rounding 2.7e-7); above, erf is 1 to float32 precision.
template <class S>
INTERN25_INLINE typename S::Vector error_function(typename S::Vector z) {
    using Vector = typename S::Vector;
    constexpr float bound = 3.83f;
    constexpr float coefficients[] = {
        1.170949963e-03f,  -3.050788545e-03f, 2.543524523e-03f,  -3.386758307e-03f, 1.060659382e-02f,
        -1.942071866e-02f, 2.767986748e-02f,  -3.983823997e-02f, 5.587874471e-02f,  -7.300768375e-02f,
        9.083660385e-02f,  -1.107052361e-01f, 1.368223042e-01f,  -1.842316106e-01f, 3.691990526e-01f};
    const Vector high = S::broadcast(bound), low = S::broadcast(-bound);
    z = S::select(S::greater(z, high), high, z);  // NaN passes both comparisons
    z = S::select(S::greater(low, z), low, z);
    const Vector u = S::fma(S::mul(z, z), S::broadcast(2.0f / (bound * bound)), S::broadcast(-1.0f));
    Vector sum = S::broadcast(coefficients[0]);
    for (int i = 1; i < 15; ++i) sum = S::fma(sum, u, S::broadcast(coefficients[i]));
    return S::mul(sum, z);
}

template <class S>
INTERN25_INLINE typename S::Vector gelu(typename S::Vector x) {
    const typename S::Vector half = S::mul(x, S::broadcast(0.5f));
    return S::fma(half, error_function<S>(S::mul(x, S::broadcast(0.70710678118654752f))), half);
}

// Derivative of gelu: the normal distribution function plus x times its density.
template <class S>
INTERN25_INLINE typename S::Vector gelu_slope(typename S::Vector x) {
    const auto half = S::broadcast(0.5f);
    const auto below = S::fma(half, error_function<S>(S::mul(x, S::broadcast(0.70710678118654752f))), half);
    const auto density = exponential<S>(S::mul(S::mul(x, x), S::broadcast(-0.5f)));
    return S::fma(S::mul(x, S::broadcast(0.39894228040143268f)), density, below);
}

// In place; `count` is a multiple of the vector's width.
template <class S>
INTERN25_INLINE void gelu(float* row, int64_t count) {
    for (int64_t c = 0; c < count; c += S::width) S::store(row + c, gelu<S>(S::load(row + c)));
}

// 1 / (1 + exp(-x))
template <class S>
INTERN25_INLINE typename S::Vector sigmoid(typename S::Vector x) {
    using Vector = typename S::Vector;
    const Vector one = S::broadcast(1.0f), most = S::broadcast(80.0f);
    const Vector negative = S::sub(S::zero(), x);
    const Vector safe = S::select(S::greater(negative, most), most, negative);
    return S::div(one, S::add(one, exponential<S>(safe)));
}

}  // namespace
}  // namespace intern25
