// SPDX-License-Identifier: MIT
// Fused inference for any machine.
#include "vector_portable.h"

#include "inference_layers.h"

namespace intern25 {

using Floats = Portable<float, 4>;

int64_t stage_workspace(const StageCall& call) { return StagePlan::of(call).workspace_floats(); }

int run_stage_portable(const StageCall& call) { return run_stage<Floats>(call); }
int run_convolution_portable(const ConvolutionCall& call) { return run_convolution<Floats>(call); }
int run_linear_portable(const LinearCall& call) { return run_linear<Floats>(call); }

}  // namespace intern25
