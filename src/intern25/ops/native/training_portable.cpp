// SPDX-License-Identifier: MIT
// Layers of a training step for any machine.
#include "vector_portable.h"

#include "training_layers.h"

namespace intern25 {

using Floats = Portable<float, 4>;

int depthwise_forward_portable(const DepthwiseCall& call) { return depthwise_forward<Floats>(call); }
int depthwise_backward_portable(const DepthwiseCall& call) { return depthwise_backward<Floats>(call); }
int gelu_gradient_portable(const GeluGradientCall& call) { return gelu_gradient<Floats>(call); }

}  // namespace intern25
