// SPDX-License-Identifier: MIT
// DCNv3 with AVX2; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx2.h"

#include "dcnv3_types.h"

namespace intern25 {

int dcnv3_forward_avx2(const Dcnv3Call& call) { return forward_of_types<Avx2>(call); }
int dcnv3_backward_avx2(const Dcnv3Call& call) { return backward_of_types<Avx2>(call); }

}  // namespace intern25
