// SPDX-License-Identifier: MIT
// The one place that knows where threads come from.
#include "parallel.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#include "export.h"

namespace intern25 {
namespace {

ParallelFor host_parallel_for = nullptr;

// Only for a torch without torch_parallel_for: threads are started per call, the caller's one takes the first share.
void threads_parallel_for(int64_t begin, int64_t end, int64_t grain, int64_t threads, RangeFunction function,
                          void* context) {
    const int64_t count = end - begin;
    const int64_t parts = std::max<int64_t>(1, std::min(threads, count / std::max<int64_t>(grain, 1)));
    const int64_t share = (count + parts - 1) / parts;
    std::vector<std::thread> workers;
    int64_t from = begin + share;
    try {
        for (; from < end; from += share) {
            workers.emplace_back(function, from, std::min(end, from + share), context);
        }
    } catch (const std::system_error&) {
        function(from, end, context);  // the system gives no more threads: the caller does the rest
    }
    function(begin, std::min(end, begin + share), context);
    for (std::thread& worker : workers) worker.join();
}

}  // namespace

void parallel_for(int64_t begin, int64_t end, int64_t grain, int64_t threads, RangeFunction function, void* context) {
    if (host_parallel_for != nullptr && host_parallel_for(begin, end, grain, function, context) == 0) return;
    threads_parallel_for(begin, end, grain, threads, function, context);
}

}  // namespace intern25

// Set once by the loader, before any kernel runs; null chooses std::thread.
INTERN25_EXPORT void intern25_set_parallel_for(void* function) {
    intern25::host_parallel_for = reinterpret_cast<intern25::ParallelFor>(function);
}
