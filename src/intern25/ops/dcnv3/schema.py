# SPDX-License-Identifier: MIT
"""The torch operators ``intern25::dcnv3`` and ``intern25::dcnv3_backward``: schema, shapes, derivative, vmap.

They make the operator opaque to ``torch.compile`` and ``torch.export``; the implementation is chosen at run
time (``intern25.ops.dispatch``), never in the graph. Arguments are validated before, in ``functional.py``.

torch's dispatcher takes about 20 us over a Python operator, on small maps as long as the kernel itself.
So an eager call on plain tensors, where the dispatcher would change nothing, goes straight to the kernel.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
from torch import Tensor

from intern25.ops.dcnv3.dispatch import DISPATCHER
from intern25.ops.dcnv3.geometry import Geometry, Pair
from intern25.ops.eager import is_plain_eager

Arguments = tuple[Pair, Pair, Pair, Pair, int, float, bool, bool]
"""A geometry as the operators take it, in the order of ``Geometry``'s fields."""

_GEOMETRY = (
    "int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, "
    "int groups, float offset_scale, bool remove_center, bool softmax"
)
_TENSORS = "Tensor x, Tensor offset, Tensor mask"
_LIBRARY = torch.library.Library("intern25", "FRAGMENT")
_LIBRARY.define(f"dcnv3({_TENSORS}, {_GEOMETRY}) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
_LIBRARY.define(
    f"dcnv3_backward(Tensor grad, {_TENSORS}, {_GEOMETRY}) -> (Tensor, Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def call(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """The operator on validated arguments, by the shortest way that keeps its meaning."""
    if not is_plain_eager(x, offset, mask):
        return cast(Tensor, _FORWARD(x, offset, mask, *_arguments(geometry)))
    if torch.is_grad_enabled() and (x.requires_grad or offset.requires_grad or mask.requires_grad):
        return cast(Tensor, _EagerDCNv3.apply(x, offset, mask, geometry))
    return _run_forward(x, offset, mask, geometry)


class _EagerDCNv3(torch.autograd.Function):
    """The derivative that ``intern25::dcnv3`` registers, without the dispatcher around it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, offset, mask)
        ctx.geometry = geometry
        return _run_forward(x, offset, mask, geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, offset, mask = ctx.saved_tensors  # once: checkpointing recomputes them
        if torch.is_grad_enabled() or not is_plain_eager(grad, x, offset, mask):
            return (*_BACKWARD(grad, x, offset, mask, *_arguments(ctx.geometry)), None)
        return (*_run_backward(grad, x, offset, mask, ctx.geometry), None)


def _arguments(geometry: Geometry) -> Arguments:
    return (
        geometry.kernel_size,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        geometry.groups,
        geometry.offset_scale,
        geometry.remove_center,
        geometry.softmax,
    )


_cached_geometry = functools.lru_cache(maxsize=256)(Geometry)


def _geometry(arguments: tuple[Any, ...]) -> Geometry:
    """The geometry behind an operator's arguments; the dispatcher turns pairs into lists."""
    kernel_size, stride, padding, dilation, *rest = arguments
    return _cached_geometry(tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation), *rest)


def _run_forward(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    return DISPATCHER.choose(x, offset, mask, geometry).forward(x, offset, mask, geometry)


def _run_backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    kernel = DISPATCHER.choose(x, offset, mask, geometry, backward=True)
    return kernel.backward(grad, x, offset, mask, geometry)


def _forward(x: Tensor, offset: Tensor, mask: Tensor, *arguments: Any) -> Tensor:
    return _run_forward(x, offset, mask, _geometry(arguments))


def _backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return _run_backward(grad, x, offset, mask, _geometry(arguments))


def _forward_fake(x: Tensor, offset: Tensor, mask: Tensor, *arguments: Any) -> Tensor:
    return x.new_empty((x.shape[0], offset.shape[1], offset.shape[2], x.shape[3]))


def _backward_fake(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), offset.new_empty(offset.shape), mask.new_empty(mask.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.arguments = inputs[3:]


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _BACKWARD(grad, *ctx.saved_tensors, *ctx.arguments)
    return (*gradients, *(None,) * len(ctx.arguments))


def _refuse_second_derivative(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "dcnv3 has first derivatives only; reference.forward_exportable in intern25.ops.dcnv3 has second ones"
    )


def _fold(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[list[Tensor], tuple[Any, ...]]:
    """Tensors with the vmapped axis folded into the batch, and the arguments behind them."""
    tensors = []
    for value, axis in zip(args, in_dims, strict=True):
        if isinstance(value, Tensor):
            moved = value.expand(info.batch_size, *value.shape) if axis is None else value.movedim(axis, 0)
            tensors.append(moved.flatten(0, 1))
    return tensors, args[len(tensors) :]


def _forward_vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
    tensors, arguments = _fold(info, in_dims, *args)
    output = _FORWARD(*tensors, *arguments)
    return output.unflatten(0, (info.batch_size, -1)), 0


def _backward_vmap(
    info: Any, in_dims: tuple[Any, ...], *args: Any
) -> tuple[tuple[Tensor, ...], tuple[int, int, int]]:
    tensors, arguments = _fold(info, in_dims, *args)
    gradients = _BACKWARD(*tensors, *arguments)
    return tuple(g.unflatten(0, (info.batch_size, -1)) for g in gradients), (0, 0, 0)


_LIBRARY.impl("dcnv3", _forward, "CompositeExplicitAutograd")
_LIBRARY.impl("dcnv3_backward", _backward, "CompositeExplicitAutograd")
torch.library.register_fake("intern25::dcnv3", _forward_fake, lib=_LIBRARY)
torch.library.register_fake("intern25::dcnv3_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd("intern25::dcnv3", _differentiate, setup_context=_save, lib=_LIBRARY)
torch.library.register_autograd("intern25::dcnv3_backward", _refuse_second_derivative, lib=_LIBRARY)
torch.library.register_vmap("intern25::dcnv3", _forward_vmap, lib=_LIBRARY)
torch.library.register_vmap("intern25::dcnv3_backward", _backward_vmap, lib=_LIBRARY)
_FORWARD = torch.ops.intern25.dcnv3.default
_BACKWARD = torch.ops.intern25.dcnv3_backward.default
