// SPDX-License-Identifier: MIT
// exp for every vector type: reduction by powers of two and a polynomial, within 2 ulp of float32.
#pragma once

#include <math.h>

#include "export.h"

namespace intern25 {
namespace {

// Valid for x <= 80; below -87 (and for -inf) the result is 0; NaN stays NaN.
template <class S>
INTERN25_INLINE typename S::Vector exponential(typename S::Vector x) {
    using Vector = typename S::Vector;
    if constexpr (sizeof(typename S::Real) == sizeof(double)) {
        double lane[S::width];
        S::store(lane, x);
        for (int i = 0; i < S::width; ++i) lane[i] = ::exp(lane[i]);
        return S::load(lane);
    } else {
        const Vector low = S::broadcast(-87.0f);
        const auto vanishes = S::greater(low, x);
        const Vector safe = S::select(vanishes, low, x);
        const Vector n = S::round(S::mul(safe, S::broadcast(1.44269504088896341f)));
        // ln 2 in two parts, the first with few digits, so that n times it is exact
        const Vector r = S::fma(n, S::broadcast(2.12194440e-4f), S::fma(n, S::broadcast(-0.693359375f), safe));
        Vector p = S::broadcast(1.9875691500e-4f);
        p = S::fma(p, r, S::broadcast(1.3981999507e-3f));
        p = S::fma(p, r, S::broadcast(8.3334519073e-3f));
        p = S::fma(p, r, S::broadcast(4.1665795894e-2f));
        p = S::fma(p, r, S::broadcast(1.6666665459e-1f));
        p = S::fma(p, r, S::broadcast(5.0000001201e-1f));
        p = S::fma(S::mul(r, r), p, S::add(r, S::broadcast(1.0f)));
        return S::select(vanishes, S::zero(), S::scale_by_power_of_two(p, n));
    }
}

}  // namespace
}  // namespace intern25
