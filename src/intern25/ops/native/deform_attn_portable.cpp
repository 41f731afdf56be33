// SPDX-License-Identifier: MIT
// Multi-scale deformable attention for any machine, and in float64 for gradient checks.
#include "vector_portable.h"

#include "deform_attn_types.h"

namespace intern25 {

using Floats = Portable<float, 4>;
using Doubles = Portable<double, 4>;

int deform_attn_forward_portable(const DeformAttnCall& call) {
    if (call.value_type == kFloat64) return deform_attn_forward<Doubles, double>(call);
    return deform_attn_forward_of_types<Floats>(call);
}

int deform_attn_backward_portable(const DeformAttnCall& call) {
    if (call.value_type == kFloat64) return deform_attn_backward<Doubles, double>(call);
    return deform_attn_backward_of_types<Floats>(call);
}

}  // namespace intern25
