// SPDX-License-Identifier: MIT
// DCNv3 for any machine, and in float64 for gradient checks.
#include "vector_portable.h"

#include "dcnv3_types.h"

namespace intern25 {

using Floats = Portable<float, 4>;
using Doubles = Portable<double, 4>;

int dcnv3_forward_portable(const Dcnv3Call& call) {
    if (call.value_type == kFloat64) return forward<Doubles, double, double>(call);
    return forward_of_types<Floats>(call);
}

int dcnv3_backward_portable(const Dcnv3Call& call) {
    if (call.value_type == kFloat64) return backward<Doubles, double, double>(call);
    return backward_of_types<Floats>(call);
}

}  // namespace intern25
