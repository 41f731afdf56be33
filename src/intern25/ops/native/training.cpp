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

INTERN25_EXPORT int intern25_norm_forward(const intern25::NormCall* call) {
    return INTERN25_DISPATCH(call, norm_forward);
}

INTERN25_EXPORT int intern25_norm_backward(const intern25::NormCall* call) {
    return INTERN25_DISPATCH(call, norm_backward);
}

INTERN25_EXPORT int intern25_bias_gelu_forward(const intern25::BiasGeluCall* call) {
    return INTERN25_DISPATCH(call, bias_gelu_forward);
}

INTERN25_EXPORT int intern25_bias_gelu_backward(const intern25::BiasGeluCall* call) {
    return INTERN25_DISPATCH(call, bias_gelu_backward);
}
