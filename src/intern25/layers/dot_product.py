# SPDX-License-Identifier: MIT
"""Scaled dot-product attention, by torch's fused kernel or written out where that is slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Attention of several heads, :math:`\mathrm{softmax}(Q K^\top / \sqrt{c} + M) V`.

    Args:
        query: ``(N, heads, L, c)``.
        key: ``(N, heads, S, c)``.
        value: ``(N, heads, S, c)``.
        mask: Bool, True where a query may look, broadcastable to ``(N, heads, L, S)``; None where all may.

    Returns:
        ``(N, heads, L, c)``.
    """
    if not fused_backward_is_slow(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    attended: Tensor = scores.float().softmax(dim=-1).to(value.dtype) @ value
    return attended


def fused_backward_is_slow(*tensors: Tensor) -> bool:
    """Whether torch's fused kernel is a bad choice.

    In half types on a CPU its backward pass takes several times as long as plain products.

    Args:
        tensors: Of which gradients may be asked for; the first says where and, outside of autocast, its type.
    """
    x = tensors[0]
    if x.device.type != "cpu" or not torch.is_grad_enabled() or not any(t.requires_grad for t in tensors):
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return dtype in (torch.bfloat16, torch.float16)
