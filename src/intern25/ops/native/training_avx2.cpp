// SPDX-License-Identifier: MIT
// Layers of a training step with AVX2; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx2.h"

#include "training_layers.h"

namespace intern25 {

int depthwise_forward_avx2(const DepthwiseCall& call) { return depthwise_forward<Avx2>(call); }
int depthwise_backward_avx2(const DepthwiseCall& call) { return depthwise_backward<Avx2>(call); }
int norm_forward_avx2(const NormCall& call) { return norm_forward<Avx2>(call); }
int norm_backward_avx2(const NormCall& call) { return norm_backward<Avx2>(call); }
int bias_gelu_forward_avx2(const BiasGeluCall& call) { return bias_gelu_forward<Avx2>(call); }
int bias_gelu_backward_avx2(const BiasGeluCall& call) { return bias_gelu_backward<Avx2>(call); }

}  // namespace intern25
