// SPDX-License-Identifier: MIT
// Layers of a training step with AVX-512; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx512.h"

#include "training_layers.h"

namespace intern25 {

int depthwise_forward_avx512(const DepthwiseCall& call) { return depthwise_forward<Avx512>(call); }
int depthwise_backward_avx512(const DepthwiseCall& call) { return depthwise_backward<Avx512>(call); }
int gelu_gradient_avx512(const GeluGradientCall& call) { return gelu_gradient<Avx512>(call); }

}  // namespace intern25
