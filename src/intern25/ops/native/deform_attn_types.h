// SPDX-License-Identifier: MIT
// The storage types a float vector type serves.
#pragma once

#include "deform_attn_backward.h"
#include "deform_attn_forward.h"

namespace intern25 {
namespace {

template <class S>
int deform_attn_forward_of_types(const DeformAttnCall& call) {
    if (call.value_type == kFloat32) return deform_attn_forward<S, float>(call);
    if (call.value_type == kBfloat16) return deform_attn_forward<S, bfloat16>(call);
    return kUnsupported;
}

template <class S>
int deform_attn_backward_of_types(const DeformAttnCall& call) {
    if (call.value_type == kFloat32) return deform_attn_backward<S, float>(call);
    if (call.value_type == kBfloat16) return deform_attn_backward<S, bfloat16>(call);
    return kUnsupported;
}

}  // namespace
}  // namespace intern25
