# SPDX-License-Identifier: MIT
"""Count multiply-accumulates, what the authors call FLOPs, and floating-point operations really done.

Runs on the meta device, so the largest model is counted in seconds and without memory.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import AttentionPool
from intern25.ops.dcnv3.module import DCNv3
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

_AUTHORS_TAP_COST = 5
_CORNERS = 4

_Kind = Literal["conv", "linear", "sampled", "attention", "deformable", "other", "unseen"]
_Counts = dict[_Kind, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class MacCount:
    """Cost of one forward pass; activations, resizing and sums are left out, as is customary."""

    conv: int
    """Multiply-accumulates of convolutions, depth-wise and transposed ones included."""
    linear: int
    """Multiply-accumulates of linear layers, those inside attention included."""
    dcn: int
    """DCNv3 by the authors' convention: 5 per output pixel, sampling point and channel."""
    attention: int
    """Multiply-accumulates of queries with keys and of weights with values."""
    deformable: int = 0
    """Multi-scale deformable attention: 4 per query, sampling point and channel."""
    other: int = 0
    """What the authors' program adds: 1 per output of a convolution with bias, 2 per normalised value."""
    unseen: int = 0
    """Part of ``linear`` that it does not see: projections of attention, gates of DCNv3."""

    @property
    def total(self) -> int:
        """Multiply-accumulates, with DCNv3 by the authors' convention; the papers' FLOPs of classifiers."""
        return self.conv + self.linear + self.dcn + self.attention + self.deformable

    @property
    def authors(self) -> int:
        """What the authors' program prints for detectors and segmenters, and their tables call FLOPs.

        It counts the modules mmcv knows, which leaves out attention and batch normalisation over processes.
        """
        return self.conv + self.linear - self.unseen + self.dcn + self.other

    @property
    def flops(self) -> int:
        """Floating-point operations really done: two per multiply-accumulate.

        A DCNv3 tap reads four corners, each multiplied by a bilinear weight that holds the modulation:
        eight operations per channel, where the authors count five.
        """
        taps = self.dcn // _AUTHORS_TAP_COST
        return 2 * (self.conv + self.linear + self.attention + self.deformable + _CORNERS * taps)


def count_macs(
    model: nn.Module,
    input_size: int | tuple[int, int],
    *,
    run: Callable[[Any, Tensor], object] | None = None,
) -> MacCount:
    """Count the multiply-accumulates of a forward pass on one image.

    Args:
        model: A model of this package; it is not changed and may be on any device.
        input_size: Side of the image, or ``(height, width)``.
        run: Calls the model on ``(1, 3, H, W)``; needed where a call depends on values, which here there are
            none of. None calls the model itself.

    Raises:
        ValueError: ``model`` has been compiled or optimised into parts that cannot be counted.

    Example:
        >>> from intern25.backbones import INTERNIMAGE_T, InternImageClassifier
        >>> with torch.device("meta"):
        ...     model = InternImageClassifier(INTERNIMAGE_T)
        >>> count_macs(model, 224).total
        4885100544

    Source:
        OpenGVLab/InternImage ``get_flops.py`` of detection and segmentation, whose totals the papers print.
    """
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    # Copied while moving: a copy with values would need the model's memory a second time.
    twin = _meta_copy(model).eval()
    counts: Counter[_Kind] = Counter()
    for module in twin.modules():
        for kind, hook in _HOOKS.items():
            if isinstance(module, kind):
                module.register_forward_hook(_counting(hook, counts))
    image = torch.empty(1, 3, height, width, device="meta", dtype=next(twin.parameters()).dtype)
    with torch.no_grad():
        twin(image) if run is None else run(twin, image)
    if not counts["sampled"]:
        raise ValueError(f"{type(model).__name__} has no DCNv3 layer; count the model before optimize()")
    return MacCount(
        conv=counts["conv"],
        linear=counts["linear"],
        dcn=_AUTHORS_TAP_COST * counts["sampled"],
        attention=counts["attention"],
        deformable=counts["deformable"],
        other=counts["other"],
        unseen=counts["unseen"],
    )


def _meta_copy(model: nn.Module) -> nn.Module:
    """The same model without values; parameters are replaced in the memo, so that they are never copied."""
    tensors = [*model.parameters(), *model.buffers()]
    memo: dict[int, Any] = {
        id(tensor): nn.Parameter(tensor.detach().to("meta"), requires_grad=False)
        if isinstance(tensor, nn.Parameter)
        else tensor.to("meta")
        for tensor in tensors
    }
    return copy.deepcopy(model, memo)


def _counting(
    hook: Callable[[Any, tuple[Any, ...], Any], _Counts], counts: Counter[_Kind]
) -> Callable[[Any, tuple[Any, ...], Any], None]:
    """Forward hook that adds what ``hook`` finds."""

    def add(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        counts.update(hook(module, inputs, output))

    return add


def _count_conv(module: nn.Conv2d, _: tuple[Tensor, ...], output: Tensor) -> _Counts:
    bias = 0 if module.bias is None else output.numel()
    return {"conv": output.numel() * module.weight[0].numel(), "other": bias}


def _count_transposed(module: nn.ConvTranspose2d, inputs: tuple[Tensor, ...], output: Tensor) -> _Counts:
    """Every input value meets the whole kernel of its channel."""
    bias = 0 if module.bias is None else output.numel()
    return {"conv": inputs[0].numel() * module.weight[0].numel(), "other": bias}


def _count_linear(module: nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> _Counts:
    return {"linear": output.numel() * module.in_features}


def _count_norm(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> _Counts:
    return {"other": 2 * inputs[0].numel()}


def _count_dcnv3(module: DCNv3, _: tuple[Tensor, ...], output: Tensor) -> _Counts:
    """The operator, and its offset and mask layers, which run as one product and so escape hooks."""
    pixels = output.numel() // output.shape[-1]
    predicted = module.offset.weight.numel() + module.mask.weight.numel()
    gate = module.center_feature_scale
    return {
        "sampled": output.numel() * module.geometry.num_points,
        "linear": pixels * predicted,
        "unseen": 0 if gate is None else pixels * gate.weight.numel(),
    }


def _count_pool(module: AttentionPool, inputs: tuple[Tensor, ...], _: Tensor) -> _Counts:
    """One query: a product with every key and one with every value."""
    (tokens,) = inputs
    return {"attention": 2 * tokens.shape[0] * tokens.shape[1] * module.query.out_features}


def _count_attention(module: nn.MultiheadAttention, inputs: tuple[Tensor, ...], _: object) -> _Counts:
    """Four projections, which are no modules of their own, and the two products."""
    query, key = inputs[:2]
    images, width = query.shape[0], module.embed_dim
    queries, keys = query.shape[1], key.shape[1]
    projections = 2 * images * (queries + keys) * width * width
    return {
        "linear": projections,
        "unseen": projections,
        "attention": 2 * images * queries * keys * width,
    }


def _count_deformable(
    module: MultiScaleDeformableAttention, _: tuple[Tensor, ...], output: Tensor
) -> _Counts:
    return {"deformable": _CORNERS * output.numel() * module.levels * module.points}


_HOOKS: dict[type[nn.Module], Callable[[Any, tuple[Any, ...], Any], _Counts]] = {
    nn.Conv2d: _count_conv,
    nn.ConvTranspose2d: _count_transposed,
    nn.Linear: _count_linear,
    nn.LayerNorm: _count_norm,
    nn.GroupNorm: _count_norm,
    DCNv3: _count_dcnv3,
    AttentionPool: _count_pool,
    nn.MultiheadAttention: _count_attention,
    MultiScaleDeformableAttention: _count_deformable,
}
