# SPDX-License-Identifier: MIT
"""Count multiply-accumulates by the authors' convention, and the floating-point operations really done.

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

_AUTHORS_TAP_COST = 5
_CORNERS = 4

_Kind = Literal["conv", "linear", "sampled", "attention"]
_Hook = Callable[[Any, tuple[Tensor, ...], Tensor], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MacCount:
    """Cost of one forward pass; normalisations, activations and sums are left out, as is customary."""

    conv: int
    """Multiply-accumulates of convolutions, depth-wise ones included."""
    linear: int
    """Multiply-accumulates of linear layers."""
    dcn: int
    """DCNv3 by the authors' convention: 5 per output pixel, sampling point and channel."""
    attention: int
    """Multiply-accumulates of queries with keys and of weights with values."""

    @property
    def total(self) -> int:
        """Sum by the authors' convention, which the papers print as FLOPs."""
        return self.conv + self.linear + self.dcn + self.attention

    @property
    def flops(self) -> int:
        """Floating-point operations really done: two per multiply-accumulate.

        A DCNv3 tap reads four corners, each multiplied by a bilinear weight that holds the modulation:
        eight operations per channel, where the authors count five.
        """
        taps = self.dcn // _AUTHORS_TAP_COST
        return 2 * (self.conv + self.linear + self.attention + _CORNERS * taps)


def count_macs(model: nn.Module, input_size: int | tuple[int, int]) -> MacCount:
    """Count the multiply-accumulates of a forward pass on one image.

    Args:
        model: A classifier or backbone of this package; it is not changed and may be on any device.
        input_size: Side of the image, or ``(height, width)``.

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
    with torch.no_grad():
        twin(torch.empty(1, 3, height, width, device="meta", dtype=next(twin.parameters()).dtype))
    if not counts["sampled"]:
        raise ValueError(f"{type(model).__name__} has no DCNv3 layer; count the model before optimize()")
    return MacCount(
        conv=counts["conv"],
        linear=counts["linear"],
        dcn=_AUTHORS_TAP_COST * counts["sampled"],
        attention=counts["attention"],
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


def _counting(hook: Callable[[Any, Tensor, Tensor], dict[_Kind, int]], counts: Counter[_Kind]) -> _Hook:
    """Forward hook that adds what ``hook`` finds."""

    def add(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.update(hook(module, inputs[0], output))

    return add


def _count_conv(module: nn.Conv2d, _: Tensor, output: Tensor) -> dict[_Kind, int]:
    return {"conv": output.numel() * module.weight[0].numel()}


def _count_linear(module: nn.Linear, _: Tensor, output: Tensor) -> dict[_Kind, int]:
    return {"linear": output.numel() * module.in_features}


def _count_dcnv3(module: DCNv3, _: Tensor, output: Tensor) -> dict[_Kind, int]:
    """The operator, and its offset and mask layers, which run as one product and so escape hooks."""
    pixels = output.numel() // output.shape[-1]
    predicted = module.offset.weight.numel() + module.mask.weight.numel()
    return {"sampled": output.numel() * module.geometry.num_points, "linear": pixels * predicted}


def _count_attention(module: AttentionPool, tokens: Tensor, _: Tensor) -> dict[_Kind, int]:
    """One query: a product with every key and one with every value."""
    return {"attention": 2 * tokens.shape[0] * tokens.shape[1] * module.query.out_features}


_HOOKS: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], dict[_Kind, int]]] = {
    nn.Conv2d: _count_conv,
    nn.Linear: _count_linear,
    DCNv3: _count_dcnv3,
    AttentionPool: _count_attention,
}
