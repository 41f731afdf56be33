// SPDX-License-Identifier: MIT
// The interface between Python (ops/fused packs these structures), the dispatcher and the fused inference kernels.
//
// Activations are float32 and channels-last, whatever type the weights are stored in. Channels of every map and the
// hidden width of the MLP are multiples of 16. Null weights mean that a step does not exist.
#pragma once

#include <stdint.h>

#include "dcnv3.h"
#include "export.h"

namespace intern25 {

// y = x W^T + b; the weight is packed as gemm.h says, the bias has zeros up to a multiple of 32.
struct Linear {
    const void* weight;
    const float* bias;
    int64_t inputs, outputs;
    int64_t weight_type;  // kFloat32 or kBfloat16
};

// Layer normalisation over the channels.
struct Norm {
    const float* gain;
    const float* bias;
};

// Of one row of channels.
struct Statistics {
    float mean, scale;  // scale is 1 / deviation
};

struct Block {
    Norm dcn_pre_norm;
    Linear input_projection;
    const float* depthwise_weight;  // (kernel * kernel, C), then bias (C)
    Norm depthwise_norm;
    Linear sampling;                // offsets (G, K, 2), mask logits (G, K) and, when gated, gate logits (G)
    Linear output_projection;
    Norm dcn_post_norm;
    Norm mlp_pre_norm;
    Linear expand, reduce;
    Norm mlp_post_norm;
    Norm after;
};

// All blocks of one resolution.
struct StageCall {
    int64_t batch, height, width, channels, groups, hidden;
    int64_t depthwise_kernel, gated, remove_center;
    int64_t threads, num_blocks;
    double offset_scale, epsilon;
    const Block* blocks;
    Norm norm;
    const float* input;   // (N, H, W, C)
    float* output;        // (N, H, W, C)
    float* workspace;     // stage_workspace() floats
};

// 3x3 convolution with stride 2 and padding 1, layer normalisation and, if asked, GELU.
struct ConvolutionCall {
    int64_t batch, height, width, channels;
    int64_t image_stride, row_stride, pixel_stride, channel_stride;  // of the input, in elements
    int64_t gelu, threads;
    double epsilon;
    Linear linear;        // inputs ordered (row, column, channel)
    Norm norm;
    const float* input;
    float* output;        // (N, ceil(H / 2), ceil(W / 2), outputs)
};

struct LinearCall {
    int64_t rows, input_stride, output_stride, gelu, threads;
    Linear linear;
    const float* input;
    float* output;        // output_stride has room for whole groups of 16 columns
};

int64_t stage_workspace(const StageCall& call);

#define INTERN25_DECLARE_INFERENCE(set)          \
    int run_stage_##set(const StageCall& call);  \
    int run_convolution_##set(const ConvolutionCall& call); \
    int run_linear_##set(const LinearCall& call);

INTERN25_DECLARE_INFERENCE(portable)
INTERN25_DECLARE_INFERENCE(avx2)
INTERN25_DECLARE_INFERENCE(avx512)

}  // namespace intern25
