// SPDX-License-Identifier: MIT
// The interface between Python (ops/deform_attn/cpu.py packs a DeformAttnCall), the dispatcher and the kernels.
//
// Shapes: N images, T tokens of all levels, Q queries, M heads of D channels, L levels, P points of a head and level.
//   value and its gradient               (N, T, M, D)
//   output and its gradient              (N, Q, M, D)
//   locations and their gradient         (N, Q, M, L, P, 2) in (x, y) order, 0 and 1 at the edges of the map
//   weights and their gradient           (N, Q, M, L, P)
// All are contiguous. Locations, weights and their gradients are float32, or float64 where the value is.
#pragma once

#include <stdint.h>

#include "export.h"

namespace intern25 {

struct DeformAttnCall {
    int64_t batch, tokens, queries, heads, head_channels, levels, points;
    int64_t value_type;         // ScalarType of value, output and their gradients
    int64_t threads;
    const int64_t* sizes;       // [L][2] height and width
    const void* value;
    const void* locations;
    const void* weights;
    void* output;               // forward only
    const void* grad_output;    // backward only, like the rest
    void* grad_value;
    void* grad_locations;
    void* grad_weights;
};

int deform_attn_forward_portable(const DeformAttnCall& call);
int deform_attn_backward_portable(const DeformAttnCall& call);
int deform_attn_forward_avx2(const DeformAttnCall& call);
int deform_attn_backward_avx2(const DeformAttnCall& call);
int deform_attn_forward_avx512(const DeformAttnCall& call);
int deform_attn_backward_avx512(const DeformAttnCall& call);

}  // namespace intern25
