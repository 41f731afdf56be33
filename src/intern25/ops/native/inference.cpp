// SPDX-License-Identifier: MIT
// Entry points of the fused inference kernels: one call from Python, handed to the selected instruction set.
#include "inference.h"

#include "dispatch.h"

// Floats of workspace a stage needs.
INTERN25_EXPORT int64_t intern25_stage_workspace(const intern25::StageCall* call) {
    return intern25::stage_workspace(*call);
}

INTERN25_EXPORT int intern25_run_stage(const intern25::StageCall* call) { return INTERN25_DISPATCH(call, run_stage); }

INTERN25_EXPORT int intern25_run_convolution(const intern25::ConvolutionCall* call) {
    return INTERN25_DISPATCH(call, run_convolution);
}

INTERN25_EXPORT int intern25_run_linear(const intern25::LinearCall* call) {
    return INTERN25_DISPATCH(call, run_linear);
}
