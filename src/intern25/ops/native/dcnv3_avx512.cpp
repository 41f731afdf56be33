// SPDX-License-Identifier: MIT
// DCNv3 with AVX-512; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx512.h"

#include "dcnv3_types.h"

namespace intern25 {

int dcnv3_forward_avx512(const Dcnv3Call& call) { return forward_of_types<Avx512>(call); }
int dcnv3_backward_avx512(const Dcnv3Call& call) { return backward_of_types<Avx512>(call); }

}  // namespace intern25
