// SPDX-License-Identifier: MIT
// DCNv3's entry points: one call from Python, handed to the kernels of the selected instruction set.
// float64 serves gradient checks, not speed: only the portable kernels know it.
#include "dcnv3.h"

#include "dispatch.h"

INTERN25_EXPORT int intern25_dcnv3_forward(const intern25::Dcnv3Call* call) {
    if (call->value_type == intern25::kFloat64) return intern25::dcnv3_forward_portable(*call);
    return INTERN25_DISPATCH(call, dcnv3_forward);
}

INTERN25_EXPORT int intern25_dcnv3_backward(const intern25::Dcnv3Call* call) {
    if (call->value_type == intern25::kFloat64) return intern25::dcnv3_backward_portable(*call);
    return INTERN25_DISPATCH(call, dcnv3_backward);
}
