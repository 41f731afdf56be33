// SPDX-License-Identifier: MIT
// What lies between the stages: strided convolution with its norm, and linear layers with GELU.
#pragma once

#include "inference_stage.h"

namespace intern25 {
namespace {

constexpr int64_t kConvolutionRows = 56;

// The 3x3 window of one output pixel as a row of inputs, zeros outside the image.
inline void gather_window(const ConvolutionCall& call, const float* image, int64_t y, int64_t x, float* to) {
    const int64_t channels = call.channels;
    for (int64_t i = 2 * y - 1; i < 2 * y + 2; ++i) {
        for (int64_t j = 2 * x - 1; j < 2 * x + 2; ++j, to += channels) {
            if (i < 0 || i >= call.height || j < 0 || j >= call.width) {
                memset(to, 0, static_cast<size_t>(channels) * sizeof(float));
                continue;
            }
            const float* from = image + i * call.row_stride + j * call.pixel_stride;
            if (call.channel_stride == 1) {
                memcpy(to, from, static_cast<size_t>(channels) * sizeof(float));
            } else {
                for (int64_t c = 0; c < channels; ++c) to[c] = from[c * call.channel_stride];
            }
        }
    }
}

template <class S>
void convolve_rows(const ConvolutionCall& call, int64_t begin, int64_t end, float* windows) {
    const int64_t out_height = divide_up(call.height, 2), out_width = divide_up(call.width, 2);
    const int64_t inputs = call.linear.inputs, outputs = call.linear.outputs;
    const int64_t stride = round_up(outputs, kHalfPanel), rows = end - begin;
    for (int64_t row = begin; row < end; ++row) {
        const int64_t line = row / out_width;
        const float* image = call.input + line / out_height * call.image_stride;
        gather_window(call, image, line % out_height, row % out_width, windows + (row - begin) * inputs);
    }
    float* results = windows + rows * inputs;
    apply_linear<S>(call.linear, rows, {windows, inputs}, {results, stride}, Epilogue::kStore);
    const auto finish = call.gelu ? normalise_row<S, After::kGelu> : normalise_row<S, After::kNothing>;
    for (int64_t row = 0; row < rows; ++row) {
        finish(results + row * stride, call.output + (begin + row) * outputs, outputs, call.norm,
               static_cast<float>(call.epsilon));
    }
}

template <class S>
int run_convolution(const ConvolutionCall& call) {
    const int64_t rows = call.batch * divide_up(call.height, 2) * divide_up(call.width, 2);
    if (rows == 0) return kOk;
    const int64_t workers = larger(1, smaller(call.threads, rows));
    const int64_t chunk = divide_up(rows, divide_up(rows, kConvolutionRows * workers) * workers);
    const int64_t floats = chunk * (call.linear.inputs + round_up(call.linear.outputs, kHalfPanel));
    return parallel_ranges(divide_up(rows, chunk), 1, call.threads, [&](int64_t first, int64_t last) {
        const Scratch scratch(floats * static_cast<int64_t>(sizeof(float)));
        if (scratch.missing()) return static_cast<int>(kOutOfMemory);
        for (int64_t begin = first * chunk; begin < smaller(last * chunk, rows); begin += chunk) {
            convolve_rows<S>(call, begin, smaller(begin + chunk, rows), scratch.as<float>());
        }
        return static_cast<int>(kOk);
    });
}

template <class S>
int run_linear(const LinearCall& call) {
    // Inputs are only read; the matrix type has one constness.
    const Rows input = {const_cast<float*>(call.input), call.input_stride};
    const Epilogue epilogue = call.gelu ? Epilogue::kGelu : Epilogue::kStore;
    return split_linear<S>(call.linear, call.rows, call.threads, input, {call.output, call.output_stride}, epilogue);
}

}  // namespace
}  // namespace intern25
