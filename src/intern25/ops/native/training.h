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
    Statistics* statistics;       // (N * H * W); likewise
    float* output;                // (N, H, W, C)
    const float* grad_output;     // backward only, from here on
    float* grad_convolved;        // (N, H, W, C), workspace
    float* grad_input;            // (N, H, W, C)
    float* grad_parameters;       // (kernel * kernel + 3, C): taps, bias, gain and bias of the norm
};

// Layer normalisation of rows; channels are a multiple of 16.
struct NormCall {
    int64_t rows, channels, threads;
    double epsilon;
    const float* input;           // (rows, C)
    Norm norm;
    Statistics* statistics;       // (rows); written forward, read backward
    float* output;                // (rows, C)
    const float* grad_output;     // backward only, from here on
    float* grad_input;            // (rows, C)
    float* grad_parameters;       // (2, C): gain, bias
};

// y = GELU(x + b). Forward, x is replaced by x + b. Backward, in place, the gradient with respect to y becomes that
// with respect to x, and its sum over the rows that of b.
struct BiasGeluCall {
    int64_t rows, channels, threads;
    float* input;                 // (rows, C): x, later x + b
    float* bias;                  // (C): b, backward its gradient
    float* output;                // (rows, C): y, backward the gradient
};

#define INTERN25_DECLARE_TRAINING(set)                           \
    int depthwise_forward_##set(const DepthwiseCall& call);      \
    int depthwise_backward_##set(const DepthwiseCall& call);     \
    int norm_forward_##set(const NormCall& call);                \
    int norm_backward_##set(const NormCall& call);               \
    int bias_gelu_forward_##set(const BiasGeluCall& call);       \
    int bias_gelu_backward_##set(const BiasGeluCall& call);

INTERN25_DECLARE_TRAINING(portable)
INTERN25_DECLARE_TRAINING(avx2)
INTERN25_DECLARE_TRAINING(avx512)

}  // namespace intern25
