# SPDX-License-Identifier: MIT
"""The torch operators ``intern25::deform_attn`` and its backward: schema, shapes, derivative, vmap.

They make the operator opaque to ``torch.compile`` and ``torch.export``; the implementation is chosen at run
time (``intern25.ops.dispatch``), never in the graph. Arguments are validated before, in ``functional.py``.
The sizes of the levels are one list, ``(height, width, height, width, ...)``, and may be symbolic. As with
DCNv3, an eager call on plain tensors goes straight to the kernel, past torch's dispatcher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from intern25.ops.deform_attn.dispatch import DISPATCHER
from intern25.ops.deform_attn.reference import SpatialShapes
from intern25.ops.eager import is_plain_eager

Gradients = tuple[Tensor, Tensor, Tensor]
"""Of value, sampling locations and attention weights."""

_ARGUMENTS = "Tensor value, SymInt[] spatial_shapes, Tensor sampling_locations, Tensor attention_weights"
_LIBRARY = torch.library.Library("intern25", "FRAGMENT")
_LIBRARY.define(f"deform_attn({_ARGUMENTS}) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
_LIBRARY.define(
    f"deform_attn_backward(Tensor grad, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def call(value: Tensor, spatial_shapes: SpatialShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """The operator on validated arguments, by the shortest way that keeps its meaning."""
    if not is_plain_eager(value, locations, weights):
        return cast(Tensor, _FORWARD(value, flat(spatial_shapes), locations, weights))
    if torch.is_grad_enabled() and (value.requires_grad or locations.requires_grad or weights.requires_grad):
        return cast(Tensor, _EagerDeformAttn.apply(value, spatial_shapes, locations, weights))
    return _run_forward(value, spatial_shapes, locations, weights)


class _EagerDeformAttn(torch.autograd.Function):
    """The derivative that ``intern25::deform_attn`` registers, without the dispatcher around it."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, spatial_shapes: SpatialShapes, locations: Tensor, weights: Tensor
    ) -> Tensor:
        ctx.save_for_backward(value, locations, weights)
        ctx.spatial_shapes = spatial_shapes
        return _run_forward(value, spatial_shapes, locations, weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, locations, weights = ctx.saved_tensors  # once: checkpointing recomputes them
        if torch.is_grad_enabled() or not is_plain_eager(grad, value, locations, weights):
            gradients = _BACKWARD(grad, value, flat(ctx.spatial_shapes), locations, weights)
        else:
            gradients = _run_backward(grad, value, ctx.spatial_shapes, locations, weights)
        return gradients[0], None, *gradients[1:]


def flat(spatial_shapes: SpatialShapes) -> list[int]:
    """The sizes as the operators take them."""
    return [side for pair in spatial_shapes for side in pair]


def _pairs(sizes: Sequence[int]) -> SpatialShapes:
    return tuple(zip(sizes[::2], sizes[1::2], strict=True))


def _run_forward(value: Tensor, spatial_shapes: SpatialShapes, locations: Tensor, weights: Tensor) -> Tensor:
    kernel = DISPATCHER.choose(value, spatial_shapes, locations, weights)
    return kernel.forward(value, spatial_shapes, locations, weights)


def _run_backward(
    grad: Tensor, value: Tensor, spatial_shapes: SpatialShapes, locations: Tensor, weights: Tensor
) -> Gradients:
    kernel = DISPATCHER.choose(value, spatial_shapes, locations, weights, backward=True)
    return kernel.backward(grad, value, spatial_shapes, locations, weights)


def _forward(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    return _run_forward(value, _pairs(sizes), locations, weights)


def _backward(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> Gradients:
    return _run_backward(grad, value, _pairs(sizes), locations, weights)


def _forward_fake(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    return value.new_empty((value.shape[0], locations.shape[1], value.shape[2] * value.shape[3]))


def _backward_fake(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> Gradients:
    return (
        value.new_empty(value.shape),
        locations.new_empty(locations.shape),
        weights.new_empty(weights.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    value, ctx.sizes, locations, weights = inputs
    ctx.save_for_backward(value, locations, weights)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    value, locations, weights = ctx.saved_tensors
    grad_value, grad_locations, grad_weights = _BACKWARD(grad, value, ctx.sizes, locations, weights)
    return grad_value, None, grad_locations, grad_weights


def _refuse_second_derivative(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "deform_attn has first derivatives only; reference.forward_exportable in intern25.ops.deform_attn "
        "has second ones"
    )


def _fold(info: Any, in_dims: tuple[Any, ...], *args: Any) -> list[Any]:
    """The arguments with the vmapped axis of every tensor folded into the batch."""
    folded: list[Any] = []
    for value, axis in zip(args, in_dims, strict=True):
        if isinstance(value, Tensor):
            moved = value.expand(info.batch_size, *value.shape) if axis is None else value.movedim(axis, 0)
            value = moved.flatten(0, 1)
        folded.append(value)
    return folded


def _forward_vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
    return _FORWARD(*_fold(info, in_dims, *args)).unflatten(0, (info.batch_size, -1)), 0


def _backward_vmap(
    info: Any, in_dims: tuple[Any, ...], *args: Any
) -> tuple[tuple[Tensor, ...], tuple[int, int, int]]:
    gradients = _BACKWARD(*_fold(info, in_dims, *args))
    return tuple(g.unflatten(0, (info.batch_size, -1)) for g in gradients), (0, 0, 0)


_LIBRARY.impl("deform_attn", _forward, "CompositeExplicitAutograd")
_LIBRARY.impl("deform_attn_backward", _backward, "CompositeExplicitAutograd")
torch.library.register_fake("intern25::deform_attn", _forward_fake, lib=_LIBRARY)
torch.library.register_fake("intern25::deform_attn_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd("intern25::deform_attn", _differentiate, setup_context=_save, lib=_LIBRARY)
torch.library.register_autograd("intern25::deform_attn_backward", _refuse_second_derivative, lib=_LIBRARY)
torch.library.register_vmap("intern25::deform_attn", _forward_vmap, lib=_LIBRARY)
torch.library.register_vmap("intern25::deform_attn_backward", _backward_vmap, lib=_LIBRARY)
_FORWARD = torch.ops.intern25.deform_attn.default
_BACKWARD = torch.ops.intern25.deform_attn_backward.default
