// SPDX-License-Identifier: MIT
// Entry points of multi-scale deformable attention: one call from Python, handed to the selected instruction set.
// float64 serves gradient checks, not speed: only the portable kernels know it.
#include "deform_attn.h"

#include "dispatch.h"

INTERN25_EXPORT int intern25_deform_attn_forward(const intern25::DeformAttnCall* call) {
    if (call->value_type == intern25::kFloat64) return intern25::deform_attn_forward_portable(*call);
    return INTERN25_DISPATCH(call, deform_attn_forward);
}

INTERN25_EXPORT int intern25_deform_attn_backward(const intern25::DeformAttnCall* call) {
    if (call->value_type == intern25::kFloat64) return intern25::deform_attn_backward_portable(*call);
    return INTERN25_DISPATCH(call, deform_attn_backward);
}
