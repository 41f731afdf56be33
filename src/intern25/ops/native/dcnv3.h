// SPDX-License-Identifier: MIT
// The interface between Python (ops/dcnv3/cpu.py packs a Dcnv3Call), the dispatcher and the kernels.
//
// Shapes: N images, (H, W) input and (Ho, Wo) output size, G groups of D channels, C = G * D, K points a group.
//   value, output, and their gradients   (N, H, W, C) and (N, Ho, Wo, C), contiguous
//   offset                               (N, Ho, Wo, G, K, 2) in (x, y) order, one stride between output pixels
//   mask                                 (N, Ho, Wo, G, K), likewise
// Gradients of offset and mask are contiguous.
#pragma once

#include <stdint.h>

#include "export.h"

namespace intern25 {

struct Dcnv3Call {
    int64_t batch, height, width, out_height, out_width;
    int64_t groups, group_channels;
    int64_t kernel_height, kernel_width, stride_height, stride_width;
    int64_t padding_height, padding_width, dilation_height, dilation_width;
    int64_t remove_center;      // 1: the point in the middle of the kernel does not exist
    int64_t softmax;            // 1: mask holds logits, normalised over the K points here
    int64_t offset_stride;      // elements from one output pixel to the next
    int64_t mask_stride;
    int64_t value_type;         // ScalarType of value, output and their gradients
    int64_t sampling_type;      // ScalarType of offset, mask and their gradients
    int64_t threads;
    double offset_scale;
    const void* value;
    const void* offset;
    const void* mask;
    void* output;               // forward only
    const void* grad_output;    // backward only, like the rest
    void* grad_value;
    void* grad_offset;
    void* grad_mask;
};

int dcnv3_forward_portable(const Dcnv3Call& call);
int dcnv3_backward_portable(const Dcnv3Call& call);
int dcnv3_forward_avx2(const Dcnv3Call& call);
int dcnv3_backward_avx2(const Dcnv3Call& call);
int dcnv3_forward_avx512(const Dcnv3Call& call);
int dcnv3_backward_avx512(const Dcnv3Call& call);

}  // namespace intern25
