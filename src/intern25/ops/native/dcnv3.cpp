// SPDX-License-Identifier: MIT
// DCNv3's entry points: one call from Python, handed to the kernels of the selected instruction set.
#include "dcnv3.h"

#include "instruction_sets.h"

namespace intern25 {
namespace {

// float64 serves gradient checks, not speed: only the portable kernels know it.
InstructionSet set_for(const Dcnv3Call& call) {
    return call.value_type == kFloat64 ? kPortable : selected_instruction_set();
}

}  // namespace
}  // namespace intern25

INTERN25_EXPORT int intern25_dcnv3_forward(const intern25::Dcnv3Call* call) {
    switch (intern25::set_for(*call)) {
#if defined(INTERN25_WITH_AVX512)
        case intern25::kAvx512:
            return intern25::dcnv3_forward_avx512(*call);
#endif
#if defined(INTERN25_WITH_AVX2)
        case intern25::kAvx2:
            return intern25::dcnv3_forward_avx2(*call);
#endif
        default:
            return intern25::dcnv3_forward_portable(*call);
    }
}

INTERN25_EXPORT int intern25_dcnv3_backward(const intern25::Dcnv3Call* call) {
    switch (intern25::set_for(*call)) {
#if defined(INTERN25_WITH_AVX512)
        case intern25::kAvx512:
            return intern25::dcnv3_backward_avx512(*call);
#endif
#if defined(INTERN25_WITH_AVX2)
        case intern25::kAvx2:
            return intern25::dcnv3_backward_avx2(*call);
#endif
        default:
            return intern25::dcnv3_backward_portable(*call);
    }
}
