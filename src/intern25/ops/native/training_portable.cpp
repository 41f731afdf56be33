// SPDX-License-Identifier: MIT
// Layers of a training step for any machine.
#include "vector_portable.h"

#include "training_layers.h"

namespace intern25 {

using Floats = Portable<float, 4>;

int depthwise_forward_portable(const DepthwiseCall& call) { return depthwise_forward<Floats>(call); }
int depthwise_backward_portable(const DepthwiseCall& call) { return depthwise_backward<Floats>(call); }
int norm_forward_portable(const NormCall& call) { return norm_forward<Floats>(call); }
int norm_backward_portable(const NormCall& call) { return norm_backward<Floats>(call); }
int bias_gelu_forward_portable(const BiasGeluCall& call) { return bias_gelu_forward<Floats>(call); }
int bias_gelu_backward_portable(const BiasGeluCall& call) { return bias_gelu_backward<Floats>(call); }

}  // namespace intern25
