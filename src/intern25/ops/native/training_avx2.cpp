// SPDX-License-Identifier: MIT
// Layers of a training step with AVX2; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx2.h"

#include "training_layers.h"

namespace intern25 {

int depthwise_forward_avx2(const DepthwiseCall& call) { return depthwise_forward<Avx2>(call); }
int depthwise_backward_avx2(const DepthwiseCall& call) { return depthwise_backward<Avx2>(call); }
int gelu_gradient_avx2(const GeluGradientCall& call) { return gelu_gradient<Avx2>(call); }

}  // namespace intern25
