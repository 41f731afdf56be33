// SPDX-License-Identifier: MIT
// N numbers with elementwise operators: the vector extension of GCC and Clang, or a plain array elsewhere (MSVC).
#pragma once

#include <stdint.h>
#include <string.h>

#include "export.h"

namespace intern25 {
namespace {

template <int kBytes>
struct SignedOf;
template <>
struct SignedOf<4> {
    using type = int32_t;
    using unsigned_type = uint32_t;
};
template <>
struct SignedOf<8> {
    using type = int64_t;
    using unsigned_type = uint64_t;
};

#if defined(__GNUC__)

template <class T, int N>
struct LanesOf {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N>
using Lanes = typename LanesOf<T, N>::type;

template <class To, class From>
INTERN25_INLINE To convert_lanes(const From& from) {
    return __builtin_convertvector(from, To);
}
template <class To, class From>
INTERN25_INLINE To reinterpret_lanes(const From& from) {
    return (To)from;
}

#else

template <class T, int N>
struct Lanes {
    using Lane = T;
    T lane[N];

    T& operator[](int i) { return lane[i]; }
    const T& operator[](int i) const { return lane[i]; }
};

template <class Out, class T, int N, class Function>
INTERN25_INLINE Lanes<Out, N> zip_lanes(const Lanes<T, N>& a, const Lanes<T, N>& b, Function function) {
    Lanes<Out, N> out;
    for (int i = 0; i < N; ++i) out.lane[i] = static_cast<Out>(function(a.lane[i], b.lane[i]));
    return out;
}

#define INTERN25_LANES_OPERATOR(op)                                                              \
    template <class T, int N>                                                                    \
    INTERN25_INLINE Lanes<T, N> operator op(const Lanes<T, N>& a, const Lanes<T, N>& b) {        \
        return zip_lanes<T>(a, b, [](T x, T y) { return x op y; });                              \
    }
INTERN25_LANES_OPERATOR(+)
INTERN25_LANES_OPERATOR(-)
INTERN25_LANES_OPERATOR(*)
INTERN25_LANES_OPERATOR(/)
INTERN25_LANES_OPERATOR(&)
INTERN25_LANES_OPERATOR(|)
#undef INTERN25_LANES_OPERATOR

#define INTERN25_LANES_COMPARISON(op)                                                            \
    template <class T, int N>                                                                    \
    INTERN25_INLINE Lanes<typename SignedOf<sizeof(T)>::type, N> operator op(                    \
        const Lanes<T, N>& a, const Lanes<T, N>& b) {                                            \
        return zip_lanes<typename SignedOf<sizeof(T)>::type>(a, b, [](T x, T y) { return x op y ? -1 : 0; }); \
    }
INTERN25_LANES_COMPARISON(<)
INTERN25_LANES_COMPARISON(>)
INTERN25_LANES_COMPARISON(<=)
INTERN25_LANES_COMPARISON(==)
#undef INTERN25_LANES_COMPARISON

template <class T, int N>
INTERN25_INLINE Lanes<T, N> operator~(const Lanes<T, N>& a) {
    return zip_lanes<T>(a, a, [](T x, T) { return ~x; });
}

template <class To, class T, int N>
INTERN25_INLINE To convert_lanes(const Lanes<T, N>& from) {
    To out;
    for (int i = 0; i < N; ++i) out[i] = static_cast<typename To::Lane>(from[i]);
    return out;
}
template <class To, class From>
INTERN25_INLINE To reinterpret_lanes(const From& from) {
    To out;
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    memcpy(&out, &from, sizeof out);
    return out;
}

#endif

}  // namespace
}  // namespace intern25
