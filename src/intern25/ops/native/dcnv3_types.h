// SPDX-License-Identifier: MIT
// The combinations of storage types a float vector type serves.
#pragma once

#include "dcnv3_backward.h"
#include "dcnv3_forward.h"

namespace intern25 {
namespace {

template <class S>
int forward_of_types(const Dcnv3Call& call) {
    if (call.value_type == kFloat32 && call.sampling_type == kFloat32) return forward<S, float, float>(call);
    if (call.value_type == kBfloat16 && call.sampling_type == kFloat32) return forward<S, bfloat16, float>(call);
    if (call.value_type == kBfloat16 && call.sampling_type == kBfloat16) return forward<S, bfloat16, bfloat16>(call);
    return kUnsupported;
}

template <class S>
int backward_of_types(const Dcnv3Call& call) {
    if (call.value_type == kFloat32 && call.sampling_type == kFloat32) return backward<S, float, float>(call);
    if (call.value_type == kBfloat16 && call.sampling_type == kFloat32) return backward<S, bfloat16, float>(call);
    if (call.value_type == kBfloat16 && call.sampling_type == kBfloat16) {
        return backward<S, bfloat16, bfloat16>(call);
    }
    return kUnsupported;
}

}  // namespace
}  // namespace intern25
