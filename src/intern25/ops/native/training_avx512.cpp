// SPDX-License-Identifier: MIT
// Layers of a training step with AVX-512; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx512.h"

#include "training_layers.h"

namespace intern25 {

int depthwise_forward_avx512(const DepthwiseCall& call) { return depthwise_forward<Avx512>(call); }
int depthwise_backward_avx512(const DepthwiseCall& call) { return depthwise_backward<Avx512>(call); }
int norm_forward_avx512(const NormCall& call) { return norm_forward<Avx512>(call); }
int norm_backward_avx512(const NormCall& call) { return norm_backward<Avx512>(call); }
int bias_gelu_forward_avx512(const BiasGeluCall& call) { return bias_gelu_forward<Avx512>(call); }
int bias_gelu_backward_avx512(const BiasGeluCall& call) { return bias_gelu_backward<Avx512>(call); }

}  // namespace intern25
