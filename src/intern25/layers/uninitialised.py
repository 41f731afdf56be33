# SPDX-License-Identifier: MIT
"""Modules whose values come from a file: no initial values are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_FILLING = frozenset((Tensor.normal_, Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_))


class Uninitialised(TorchFunctionMode):
    """Context in which random values are not filled in, for modules on the meta device.

    There is nothing to fill, but the first call of ``normal_`` on that device imports torch's compiler, which
    takes longer than all else of loading a small model.

    Example:
        >>> import torch
        >>> with torch.device("meta"), Uninitialised():
        ...     weight = torch.empty(3).normal_()
        >>> weight.is_meta
        True
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the tensor as it is where ``func`` would fill it."""
        given = dict(kwargs or {})
        if func in _FILLING:
            tensor: Tensor = args[0] if args else given["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **given)
