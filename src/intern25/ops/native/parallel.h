// SPDX-License-Identifier: MIT
// Parallel loops on the host's threads. The library owns no pool: Python hands over libtorch's
// `torch_parallel_for`, so torch.set_num_threads rules here too and two pools never fight for the cores.
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include <atomic>

namespace intern25 {

using RangeFunction = void (*)(int64_t begin, int64_t end, void* context);
using ParallelFor = int32_t (*)(int64_t begin, int64_t end, int64_t grain, RangeFunction function, void* context);

// Runs `function` on sub-ranges of [begin, end) of at least `grain` elements, using at most `threads` threads
// where the library has to start them itself.
void parallel_for(int64_t begin, int64_t end, int64_t grain, int64_t threads, RangeFunction function, void* context);

namespace {  // one copy per instruction set: a shared instance could be the wrong one for this machine

template <class Body>
struct Range {
    const Body& body;
    std::atomic<int> status;

    static void run(int64_t begin, int64_t end, void* context) {
        Range* self = static_cast<Range*>(context);
        const int status = self->body(begin, end);
        if (status != 0) self->status.store(status);
    }
};

// int body(begin, end) over [0, count); returns 0, or what a body that failed returned.
template <class Body>
int parallel_ranges(int64_t count, int64_t grain, int64_t threads, const Body& body) {
    if (count <= 0) return 0;
    if (threads <= 1 || count <= grain) return body(0, count);
    Range<Body> range{body, {0}};
    parallel_for(0, count, grain, threads, &Range<Body>::run, &range);
    return range.status.load();
}

// Memory for one task, aligned to a cache line: a vector that straddles two costs twice.
class Scratch {
public:
    explicit Scratch(int64_t bytes) : memory_(malloc(static_cast<size_t>(bytes) + kLine)) {}
    ~Scratch() { free(memory_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    bool missing() const { return memory_ == nullptr; }
    template <class T>
    T* as() const {
        const uintptr_t address = reinterpret_cast<uintptr_t>(memory_);
        return reinterpret_cast<T*>((address + kLine - 1) / kLine * kLine);
    }

private:
    static constexpr size_t kLine = 64;
    void* memory_;
};

}  // namespace
}  // namespace intern25
