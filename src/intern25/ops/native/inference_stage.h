// SPDX-License-Identifier: MIT
// All blocks of one resolution, float32 activations.
//
// A block needs its neighbours only where it samples: the depth-wise window reads the normalised map, the deformable
// window the projected one. All else is local to a pixel. So one parallel region runs a chunk of pixels through a
// whole block and on to the two maps the next block samples from, with every other intermediate in the second cache;
// both maps exist twice, one being read while the other is written. Where a thread would get too few pixels to pay for
// reading all weights, each step is a region of its own and the linear layers are split by outputs.
#pragma once

#include <atomic>

#include "dcnv3_forward.h"
#include "gemm.h"
#include "rows.h"

namespace intern25 {
namespace {

constexpr int64_t kChunkRows = 112;    // 8 tiles of 14 rows: the widest intermediate stays within the second cache
constexpr int64_t kLongChunkRows = 56;  // from kWideChannels up
constexpr int64_t kWideChannels = 512;
constexpr int64_t kFewRows = 28;       // fewer per thread: split layers by outputs

inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

struct StagePlan {
    int64_t rows, workers, chunk, sampling_stride, wide;
    bool is_split;  // every step a region of its own
    int64_t map_floats, scratch_floats;

    static StagePlan of(const StageCall& call) {
        StagePlan plan;
        plan.rows = call.batch * call.height * call.width;
        plan.workers = larger(1, smaller(call.threads, plan.rows));
        plan.is_split = plan.workers > 1 && plan.rows < kFewRows * plan.workers;
        const int64_t points = 9 - call.remove_center;
        plan.sampling_stride = round_up(call.groups * (3 * points + call.gated), kHalfPanel);
        plan.wide = larger(call.hidden, call.channels);
        const int64_t most = call.channels < kWideChannels ? kChunkRows : kLongChunkRows;
        const int64_t chunks = larger(1, divide_up(plan.rows, most * plan.workers) * plan.workers);
        plan.chunk = plan.is_split ? plan.rows : smaller(most, round_up(divide_up(plan.rows, chunks), 2));
        plan.map_floats = round_up(plan.rows * call.channels, 16);
        plan.scratch_floats = round_up(plan.chunk * (call.channels + plan.sampling_stride + plan.wide), 16);
        return plan;
    }

    int64_t workspace_floats() const {
        return 4 * map_floats + (is_split ? 1 : workers) * scratch_floats + 16;
    }
};

// body(worker, begin, end) for chunks of rows; whoever is free takes the next chunk.
template <class Body>
int for_chunks(const StagePlan& plan, const Body& body) {
    std::atomic<int64_t> next{0};
    return parallel_ranges(plan.workers, 1, plan.workers, [&](int64_t first, int64_t last) {
        for (int64_t worker = first; worker < last; ++worker) {
            for (;;) {
                const int64_t begin = next.fetch_add(plan.chunk);
                if (begin >= plan.rows) break;
                const int status = body(worker, begin, smaller(begin + plan.chunk, plan.rows));
                if (status != kOk) return status;
            }
        }
        return static_cast<int>(kOk);
    });
}

// body(begin, end) for rows; equal shares.
template <class Body>
int for_rows(const StagePlan& plan, const Body& body) {
    return parallel_ranges(plan.rows, 1, plan.workers, body);
}

// A linear layer for few rows: its panels, and parts of the rows where panels are fewer than threads.
template <class S>
int split_linear(const Linear& linear, int64_t rows, int64_t threads, Rows input, Rows output, Epilogue epilogue) {
    const int64_t panels = panels_of(linear);
    const int64_t parts = larger(1, smaller(divide_up(threads, panels), divide_up(rows, tile_rows<S>())));
    const int64_t share = divide_up(rows, parts);
    return parallel_ranges(panels * parts, 1, threads, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t panel = task / parts, first = task % parts * share;
            const int64_t count = smaller(share, rows - first);
            if (count <= 0) continue;
            multiply_panels<S>(linear, panel, panel + 1, count, {input.data + first * input.stride, input.stride},
                               {output.data + first * output.stride, output.stride}, epilogue);
        }
        return static_cast<int>(kOk);
    });
}

template <class S>
class Stage {
public:
    Stage(const StageCall& call, const StagePlan& plan, float* grid)
        : call_(call), plan_(plan), channels_(call.channels), epsilon_(static_cast<float>(call.epsilon)) {
        const uintptr_t address = reinterpret_cast<uintptr_t>(call.workspace);
        float* memory = reinterpret_cast<float*>((address + 63) / 64 * 64);
        for (int copy = 0; copy < 2; ++copy) {
            normalised_[copy] = memory + 2 * copy * plan.map_floats;
            value_[copy] = normalised_[copy] + plan.map_floats;
        }
        scratch_ = memory + 4 * plan.map_floats;
        operator_call_ = operator_call(call);
        sampling_ = Sampling<float>::of(operator_call_);
        sampling_.place_grid(operator_call_, grid);
    }

    static Dcnv3Call operator_call(const StageCall& call) {
        Dcnv3Call c = {};
        c.batch = call.batch;
        c.height = c.out_height = call.height;
        c.width = c.out_width = call.width;
        c.groups = call.groups;
        c.group_channels = call.channels / call.groups;
        c.kernel_height = c.kernel_width = 3;
        c.stride_height = c.stride_width = c.padding_height = c.padding_width = 1;
        c.dilation_height = c.dilation_width = 1;
        c.remove_center = call.remove_center;
        c.softmax = 1;
        c.value_type = c.sampling_type = kFloat32;
        c.offset_scale = call.offset_scale;
        return c;
    }

    int run() { return plan_.is_split ? run_split() : run_fused(); }

private:
    struct Buffers {  // of the rows of one chunk
        float* narrow;    // C
        float* sampling;  // offsets, mask and gate
        float* wide;      // hidden width of the MLP
    };

    Buffers buffers(int64_t worker) const {
        float* memory = scratch_ + worker * plan_.scratch_floats;
        float* sampling = memory + plan_.chunk * channels_;
        return {memory, sampling, sampling + plan_.chunk * plan_.sampling_stride};
    }

    Rows rows_of(float* map, int64_t begin) const { return {map + begin * channels_, channels_}; }

    int run_fused() {
        int status = for_chunks(plan_, [&](int64_t, int64_t begin, int64_t end) {
            take_input(begin, end);
            prepare(0, begin, end);
            const Block& block = call_.blocks[0];
            apply_linear<S>(block.input_projection, end - begin, rows_of(normalised_[0], begin),
                            rows_of(value_[0], begin), Epilogue::kStore);
            return static_cast<int>(kOk);
        });
        for (int64_t index = 0; index < call_.num_blocks && status == kOk; ++index) {
            status = for_chunks(plan_, [&](int64_t worker, int64_t begin, int64_t end) {
                return run_block(index, buffers(worker), begin, end);
            });
        }
        return status;
    }

    int run_block(int64_t index, Buffers buffer, int64_t begin, int64_t end) const {
        const Block& block = call_.blocks[index];
        const int64_t rows = end - begin;
        const Rows narrow = {buffer.narrow, channels_}, wide = {buffer.wide, plan_.wide};
        const Rows x = rows_of(call_.output, begin);
        depthwise(index, begin, end, buffer.narrow);
        apply_linear<S>(block.sampling, rows, narrow, {buffer.sampling, plan_.sampling_stride}, Epilogue::kStore);
        const int status = deform(index, begin, end, buffer.sampling, buffer.narrow);
        if (status != kOk) return status;
        end_branch(block.output_projection, block.dcn_post_norm, rows, narrow, x, buffer.wide);
        Rows input = x;
        if (block.mlp_pre_norm.gain != nullptr) {
            normalise_rows<S>(x.data, buffer.narrow, rows, channels_, block.mlp_pre_norm, epsilon_);
            input = narrow;
        }
        apply_linear<S>(block.expand, rows, input, wide, Epilogue::kGelu);
        end_branch(block.reduce, block.mlp_post_norm, rows, wide, x, buffer.narrow);
        end_block(index, begin, end);
        if (index + 1 < call_.num_blocks) {
            const int copy = (index + 1) & 1;
            apply_linear<S>(call_.blocks[index + 1].input_projection, rows, rows_of(normalised_[copy], begin),
                            rows_of(value_[copy], begin), Epilogue::kStore);
        }
        return kOk;
    }

    // x += [norm] (input W^T + b)
    void end_branch(const Linear& linear, Norm norm, int64_t rows, Rows input, Rows x, float* temporary) const {
        if (norm.gain == nullptr) return apply_linear<S>(linear, rows, input, x, Epilogue::kAccumulate);
        apply_linear<S>(linear, rows, input, {temporary, channels_}, Epilogue::kStore);
        normalise_rows<S, After::kAdd>(temporary, x.data, rows, channels_, norm, epsilon_);
    }

    int run_split() {
        int status = for_rows(plan_, [&](int64_t begin, int64_t end) {
            take_input(begin, end);
            prepare(0, begin, end);
            return static_cast<int>(kOk);
        });
        for (int64_t index = 0; index < call_.num_blocks && status == kOk; ++index) status = split_block(index);
        return status;
    }

    int split_block(int64_t index) const {
        const Block& block = call_.blocks[index];
        const Buffers buffer = buffers(0);
        const Rows narrow = {buffer.narrow, channels_}, wide = {buffer.wide, plan_.wide};
        const Rows x = rows_of(call_.output, 0);
        const auto rows = [&](const auto& step) {
            return for_rows(plan_, [&](int64_t begin, int64_t end) {
                step(begin, end);
                return static_cast<int>(kOk);
            });
        };
        const auto linear = [&](const Linear& layer, Rows from, Rows to, Epilogue epilogue) {
            split_linear<S>(layer, plan_.rows, plan_.workers, from, to, epilogue);
        };
        const auto end_branch = [&](const Linear& layer, Norm norm, Rows from, Rows temporary) {
            if (norm.gain == nullptr) return linear(layer, from, x, Epilogue::kAccumulate);
            linear(layer, from, temporary, Epilogue::kStore);
            rows([&](int64_t begin, int64_t end) {
                normalise_rows<S, After::kAdd>(temporary.data + begin * channels_, x.data + begin * channels_,
                                               end - begin, channels_, norm, epsilon_);
            });
        };
        const int copy = index & 1;
        linear(block.input_projection, rows_of(normalised_[copy], 0), rows_of(value_[copy], 0), Epilogue::kStore);
        rows([&](int64_t begin, int64_t end) { depthwise(index, begin, end, narrow.data + begin * channels_); });
        linear(block.sampling, narrow, {buffer.sampling, plan_.sampling_stride}, Epilogue::kStore);
        const int status = for_rows(plan_, [&](int64_t begin, int64_t end) {
            return deform(index, begin, end, buffer.sampling + begin * plan_.sampling_stride,
                          narrow.data + begin * channels_);
        });
        if (status != kOk) return status;
        end_branch(block.output_projection, block.dcn_post_norm, narrow, {buffer.wide, channels_});
        Rows input = x;
        if (block.mlp_pre_norm.gain != nullptr) {
            rows([&](int64_t begin, int64_t end) {
                normalise_rows<S>(x.data + begin * channels_, narrow.data + begin * channels_, end - begin, channels_,
                                  block.mlp_pre_norm, epsilon_);
            });
            input = narrow;
        }
        linear(block.expand, input, wide, Epilogue::kGelu);
        end_branch(block.reduce, block.mlp_post_norm, wide, narrow);
        rows([&](int64_t begin, int64_t end) { end_block(index, begin, end); });
        return kOk;
    }

    void take_input(int64_t begin, int64_t end) const {
        memcpy(call_.output + begin * channels_, call_.input + begin * channels_,
               static_cast<size_t>((end - begin) * channels_) * sizeof(float));
    }

    // What block `index` samples from: its normalised input, or the input itself.
    void prepare(int64_t index, int64_t begin, int64_t end) const {
        const Norm norm = call_.blocks[index].dcn_pre_norm;
        const float* x = call_.output + begin * channels_;
        float* to = normalised_[index & 1] + begin * channels_;
        if (norm.gain != nullptr) return normalise_rows<S>(x, to, end - begin, channels_, norm, epsilon_);
        memcpy(to, x, static_cast<size_t>((end - begin) * channels_) * sizeof(float));
    }

    void end_block(int64_t index, int64_t begin, int64_t end) const {
        float* x = call_.output + begin * channels_;
        const Norm after = call_.blocks[index].after;
        if (after.gain != nullptr) normalise_rows<S>(x, x, end - begin, channels_, after, epsilon_);
        if (index + 1 < call_.num_blocks) return prepare(index + 1, begin, end);
        if (call_.norm.gain != nullptr) normalise_rows<S>(x, x, end - begin, channels_, call_.norm, epsilon_);
    }

    void depthwise(int64_t index, int64_t begin, int64_t end, float* to) const {
        const Block& block = call_.blocks[index];
        for (int64_t row = begin; row < end; ++row, to += channels_) {
            const Pixel pixel = Pixel::at(operator_call_, row);
            const float* image = normalised_[index & 1] + pixel.image * call_.height * call_.width * channels_;
            depthwise_pixel<S>(image, call_.height, call_.width, channels_, pixel.y, pixel.x, call_.depthwise_kernel,
                               block.depthwise_weight, to);
            normalise_row<S, After::kGelu>(to, to, channels_, block.depthwise_norm, epsilon_);
        }
    }

    // `sampling` and `to` begin at row `begin`.
    int deform(int64_t index, int64_t begin, int64_t end, const float* sampling, float* to) const {
        const int64_t groups = call_.groups, depth = channels_ / groups, points = sampling_.points;
        const float* value = value_[index & 1];
        Dcnv3Call call = operator_call_;
        call.offset_stride = call.mask_stride = plan_.sampling_stride;
        call.value = value;
        call.offset = sampling - begin * plan_.sampling_stride;
        call.mask = static_cast<const float*>(call.offset) + 2 * groups * points;
        call.output = to - begin * channels_;
        const auto pixels = points == 9 && depth == 16   ? forward_pixels<S, 16, 9, float, float>
                            : points == 9 && depth == 32 ? forward_pixels<S, 32, 9, float, float>
                                                         : forward_pixels<S, 0, 0, float, float>;
        const int status = pixels(call, sampling_, begin, end);
        if (status != kOk || !call_.gated) return status;
        for (int64_t row = begin; row < end; ++row) {
            const float* logits = sampling + (row - begin) * plan_.sampling_stride + 3 * groups * points;
            blend_row<S>(to + (row - begin) * channels_, value + row * channels_, logits, groups, depth);
        }
        return kOk;
    }

    const StageCall& call_;
    const StagePlan& plan_;
    const int64_t channels_;
    const float epsilon_;
    float* normalised_[2];
    float* value_[2];
    float* scratch_;
    Dcnv3Call operator_call_;
    Sampling<float> sampling_;
};

template <class S>
int run_stage(const StageCall& call) {
    const StagePlan plan = StagePlan::of(call);
    if (plan.rows == 0) return kOk;
    const Dcnv3Call operator_call = Stage<S>::operator_call(call);
    const Scratch grid(Sampling<float>::of(operator_call).grid_bytes());
    if (grid.missing()) return kOutOfMemory;
    return Stage<S>(call, plan, grid.as<float>()).run();
}

}  // namespace
}  // namespace intern25
