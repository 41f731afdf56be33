// SPDX-License-Identifier: MIT
// Entry points of the layers of a training step: one call from Python, handed to the selected instruction set.
#include "training.h"

#include "dispatch.h"

INTERN25_EXPORT int intern25_depthwise_forward(const intern25::DepthwiseCall* call) {
    return INTERN25_DISPATCH(call, depthwise_forward);
}

INTERN25_EXPORT int intern25_depthwise_backward(const intern25::DepthwiseCall* call) {
    return INTERN25_DISPATCH(call, depthwise_backward);
}

INTERN25_EXPORT int intern25_gelu_gradient(const intern25::GeluGradientCall* call) {
    return INTERN25_DISPATCH(call, gelu_gradient);
}
