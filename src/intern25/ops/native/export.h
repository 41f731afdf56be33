// SPDX-License-Identifier: MIT
// What the whole library shares: symbol visibility, forced inlining, element types, status.
#pragma once

#include <stdint.h>

#if defined(_WIN32)
#define INTERN25_EXPORT extern "C" __declspec(dllexport)
#else
#define INTERN25_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#if defined(_MSC_VER)
#define INTERN25_INLINE __forceinline
#define INTERN25_RESTRICT __restrict
#else
#define INTERN25_INLINE inline __attribute__((always_inline))
#define INTERN25_RESTRICT __restrict__
#endif

namespace intern25 {

// Upper half of a float32; arithmetic happens in float32.
struct bfloat16 {
    uint16_t bits;
};

enum ScalarType : int64_t { kFloat32 = 0, kFloat64 = 1, kBfloat16 = 2 };

enum Status : int { kOk = 0, kOutOfMemory = 1, kUnsupported = 2 };

}  // namespace intern25
