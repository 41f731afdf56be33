# SPDX-License-Identifier: MIT
"""Whether a call may go straight to a native kernel, past torch's dispatcher, without anybody noticing."""

from __future__ import annotations

import torch
from torch import Tensor

_dispatch_modes = getattr(torch._C, "_len_torch_dispatch_stack", None)
_functorch_level = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)


def is_plain_eager(*tensors: Tensor) -> bool:
    """Whether nothing watches or alters the call: compiler, tracer, profiler, functorch, subclass."""
    if torch.compiler.is_compiling() or _dispatch_modes is None or _functorch_level is None:
        return False
    return (
        _dispatch_modes() == 0
        and _functorch_level() is None
        and torch._C._get_tracing_state() is None
        and not torch.autograd.profiler._is_profiler_enabled
        and all(type(tensor) in (Tensor, torch.nn.Parameter) and not tensor.is_meta for tensor in tensors)
    )
