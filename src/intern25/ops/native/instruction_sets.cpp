// SPDX-License-Identifier: MIT
// CPU detection. setup.py defines INTERN25_WITH_AVX2 / INTERN25_WITH_AVX512 for the units the compiler could build.
#include "instruction_sets.h"

#include <atomic>

#include "export.h"

#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace intern25 {
namespace {

#if defined(_MSC_VER) && defined(_M_X64)

bool bit(int word, int index) { return (static_cast<unsigned>(word) >> index) & 1u; }

InstructionSet best_of_machine() {
    int leaf[4];
    __cpuid(leaf, 0);
    if (leaf[0] < 7) return kPortable;
    __cpuid(leaf, 1);
    const bool has_fma = bit(leaf[2], 12), has_xgetbv = bit(leaf[2], 27);
    if (!has_fma || !has_xgetbv) return kPortable;
    const unsigned long long saved = _xgetbv(0);  // the registers the operating system saves
    __cpuidex(leaf, 7, 0);
    const bool has_avx2 = bit(leaf[1], 5) && (saved & 0x6) == 0x6;
    const bool has_avx512 = bit(leaf[1], 16) && bit(leaf[1], 17) && bit(leaf[1], 30) && bit(leaf[1], 31) &&
                            (saved & 0xe6) == 0xe6;  // F, DQ, BW, VL
    return has_avx2 ? (has_avx512 ? kAvx512 : kAvx2) : kPortable;
}

#elif defined(__x86_64__) || defined(__i386__)

InstructionSet best_of_machine() {  // the builtins also ask whether the operating system saves the registers
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kPortable;
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return has_avx512 ? kAvx512 : kAvx2;
}

#else

InstructionSet best_of_machine() { return kPortable; }

#endif

bool is_compiled(InstructionSet set) {
    switch (set) {
        case kPortable:
            return true;
        case kAvx2:
#if defined(INTERN25_WITH_AVX2)
            return true;
#else
            return false;
#endif
        case kAvx512:
#if defined(INTERN25_WITH_AVX512)
            return true;
#else
            return false;
#endif
    }
    return false;
}

bool is_available(InstructionSet set) {
    static const InstructionSet best = best_of_machine();
    return set >= kPortable && set <= best && is_compiled(set);
}

InstructionSet best_available() {
    if (is_available(kAvx512)) return kAvx512;
    return is_available(kAvx2) ? kAvx2 : kPortable;
}

std::atomic<int>& selection() {
    static std::atomic<int> selected{best_available()};
    return selected;
}

}  // namespace

InstructionSet selected_instruction_set() {
    return static_cast<InstructionSet>(selection().load(std::memory_order_relaxed));
}

}  // namespace intern25

INTERN25_EXPORT int intern25_instruction_set() { return intern25::selected_instruction_set(); }

INTERN25_EXPORT int intern25_instruction_set_available(int set) {
    return intern25::is_available(static_cast<intern25::InstructionSet>(set)) ? 1 : 0;
}

// Returns 0, or 1 when this machine or this build does not have `set`.
INTERN25_EXPORT int intern25_set_instruction_set(int set) {
    if (!intern25_instruction_set_available(set)) return 1;
    intern25::selection().store(set, std::memory_order_relaxed);
    return 0;
}
