# SPDX-License-Identifier: MIT
"""``optimize``: turn a model into its inference-only form, same outputs, less time and memory."""

from __future__ import annotations

import copy as copying
from typing import cast

import torch
from torch import nn

from intern25.backbones.classifier import ConvHead
from intern25.backbones.fused import fuse
from intern25.backbones.internimage import InternImage, InternImageBlock, Stem
from intern25.backbones.merged import CastStem, merge_block, merge_conv_head

FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def optimize(model: nn.Module, *, dtype: torch.dtype | None = None, copy: bool = False) -> nn.Module:
    r"""Turn ``model`` into its inference-only form.

    Every InternImage inside the model is rewritten, whatever surrounds it:

    - On a CPU with the native library, in float32 or bfloat16, each stage becomes one native call. Layers are
      packed once; a chunk of pixels runs through a whole block (depth-wise convolution, norm, GELU, merged
      offset and mask projection, DCNv3 with its softmax, projections, MLP, residuals) in the second cache.
    - Elsewhere offset and mask projection are merged, layer scales and batch norm folded, and linear layers
      prepacked with their GELU where torch can.

    Convention:
        - in place by default: ``model`` itself is rewritten and returned, its weights are released block by
          block as they are packed, so that they are never held twice. ``copy=True`` leaves ``model`` alone.
        - inference only: no gradients, no parameters in rewritten layers, nothing of them in the state dict.
          Save, convert, export, move or give it another classifier before; the result stays where it is.
        - with ``dtype=torch.bfloat16`` weights are kept in bfloat16 and maps between stages, and outputs, are
          bfloat16; the fused kernels compute in float32.

    Args:
        model: Any module; put into evaluation mode.
        dtype: Floating type of the result; None keeps the model's.
        copy: Leave ``model`` usable for training; needs memory for both.

    Returns:
        ``model`` rewritten, or a rewritten copy.

    Raises:
        ValueError: ``dtype`` is not a floating type.

    Example:
        >>> from intern25.backbones.classifier import InternImageClassifier
        >>> from intern25.backbones.internimage import INTERNIMAGE_NANO
        >>> model = optimize(InternImageClassifier(INTERNIMAGE_NANO, num_classes=10))
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    if dtype is not None and dtype not in FLOATING:
        raise ValueError(f"dtype={dtype} is not supported; use one of {', '.join(map(str, FLOATING))}")
    if copy:
        model = copying.deepcopy(model)
    model.eval().requires_grad_(False)
    first = next(model.parameters(), None)
    if first is None:
        return model
    target = dtype or first.dtype
    if not prefers_torch(target):
        model = _fuse_within(model, target)
    model.to(target)
    _merge_within(model)
    return model


def prefers_torch(dtype: torch.dtype) -> bool:
    """Whether torch's own products are faster: bfloat16 on AMX tiles, which the kernels do not use."""
    return dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported()


def _fuse_within(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    fused = fuse(module, dtype)
    if fused is not None:
        return fused.eval()
    for name in [name for name, _ in module.named_children()]:
        # No reference to the child is kept: its weights go as soon as it is replaced.
        setattr(module, name, _fuse_within(getattr(module, name), dtype))
    return module


def _merge_within(module: nn.Module) -> None:
    for child in list(module.modules()):
        if isinstance(child, InternImageBlock):
            merge_block(child)
        elif isinstance(child, ConvHead):
            merge_conv_head(child)
        elif isinstance(child, InternImage) and isinstance(child.stem, Stem):
            child.stem = cast(Stem, CastStem(child.stem))
