// SPDX-License-Identifier: MIT
// Fused inference with AVX2; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx2.h"

#include "inference_layers.h"

namespace intern25 {

int run_stage_avx2(const StageCall& call) { return run_stage<Avx2>(call); }
int run_convolution_avx2(const ConvolutionCall& call) { return run_convolution<Avx2>(call); }
int run_linear_avx2(const LinearCall& call) { return run_linear<Avx2>(call); }

}  // namespace intern25
