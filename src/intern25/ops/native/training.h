// SPDX-License-Identifier: MIT
// The interface between Python (ops/fused/training.py packs these structures), the dispatcher and the kernels of a
// training step. All maps are float32, channels-last and contiguous.
#pragma once

#include <stdint.h>

#include "inference.h"

namespace intern25 {

// GELU(layer_norm(depth-wise convolution)), stride 1, zeros outside; channels are a multiple of 16.
struct DepthwiseCall {
    int64_t batch, height, width, channels, kernel, threads;
    double epsilon;
    const float* input;           // (N, H, W, C)
    const float* weight;          // (kernel * kernel, C), then bias (C)
    Norm norm;
    float* convolved;             // (N, H, W, C); written forward, read backward
    float* statistics;            // (N * H * W, 2): mean and 1 / deviation; likewise
    float* output;                // (N, H, W, C)
    const float* grad_output;     // backward only, from here on
    float* grad_convolved;        // (N, H, W, C), workspace
    float* grad_input;            // (N, H, W, C)
    float* grad_parameters;       // (kernel * kernel + 3, C): taps, bias, gain and bias of the norm
};

// In place: the gradient of y = GELU(x + b) with respect to y becomes that with respect to x; its sum that of b.
struct GeluGradientCall {
    int64_t rows, channels, threads;
    const float* input;           // (rows, C), x + b
    float* gradient;              // (rows, C)
    float* grad_bias;             // (C)
};

#define INTERN25_DECLARE_TRAINING(set)                           \
    int depthwise_forward_##set(const DepthwiseCall& call);      \
    int depthwise_backward_##set(const DepthwiseCall& call);     \
    int gelu_gradient_##set(const GeluGradientCall& call);

INTERN25_DECLARE_TRAINING(portable)
INTERN25_DECLARE_TRAINING(avx2)
INTERN25_DECLARE_TRAINING(avx512)

}  // namespace intern25
