// SPDX-License-Identifier: MIT
// Which kernels this machine runs: the best instruction set that is compiled in, or a lower one asked for.
#pragma once

namespace intern25 {

enum InstructionSet : int { kPortable = 0, kAvx2 = 1, kAvx512 = 2 };

InstructionSet selected_instruction_set();

}  // namespace intern25
