// SPDX-License-Identifier: MIT
// Hands a call to the kernels of the selected instruction set.
#pragma once

#include "instruction_sets.h"

namespace intern25 {
namespace {

template <class Call>
using Kernel = int (*)(const Call&);

template <class Call>
int dispatch(const Call* call, Kernel<Call> portable, Kernel<Call> avx2, Kernel<Call> avx512) {
    switch (selected_instruction_set()) {
        case kAvx512:
            return avx512(*call);
        case kAvx2:
            return avx2(*call);
        default:
            return portable(*call);
    }
}

}  // namespace
}  // namespace intern25

// A set that is not compiled in is never selected; the portable kernel stands in its place.
#if defined(INTERN25_WITH_AVX2)
#define INTERN25_AVX2(name) intern25::name##_avx2
#else
#define INTERN25_AVX2(name) intern25::name##_portable
#endif
#if defined(INTERN25_WITH_AVX512)
#define INTERN25_AVX512(name) intern25::name##_avx512
#else
#define INTERN25_AVX512(name) intern25::name##_portable
#endif
#define INTERN25_DISPATCH(call, name) \
    intern25::dispatch(call, intern25::name##_portable, INTERN25_AVX2(name), INTERN25_AVX512(name))
