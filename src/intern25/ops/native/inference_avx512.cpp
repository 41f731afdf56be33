// SPDX-License-Identifier: MIT
// Fused inference with AVX-512; setup.py compiles this file alone with that instruction set's flags.
#include "vector_avx512.h"

#include "inference_layers.h"

namespace intern25 {

int run_stage_avx512(const StageCall& call) { return run_stage<Avx512>(call); }
int run_convolution_avx512(const ConvolutionCall& call) { return run_convolution<Avx512>(call); }
int run_linear_avx512(const LinearCall& call) { return run_linear<Avx512>(call); }

}  // namespace intern25
