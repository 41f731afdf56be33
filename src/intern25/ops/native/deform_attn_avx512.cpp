// SPDX-License-Identifier: MIT
// Multi-scale deformable attention with AVX-512; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx512.h"

#include "deform_attn_types.h"

namespace intern25 {

int deform_attn_forward_avx512(const DeformAttnCall& call) { return deform_attn_forward_of_types<Avx512>(call); }
int deform_attn_backward_avx512(const DeformAttnCall& call) { return deform_attn_backward_of_types<Avx512>(call); }

}  // namespace intern25
