# SPDX-License-Identifier: MIT
"""Which token sees which: a prefix in both directions, then text that looks back."""

# N batch, S tokens of this call, T tokens that can be seen: those of earlier calls, then these

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def visibility(
    lengths: Sequence[int],
    causal: Sequence[bool],
    present: Tensor | None = None,
    *,
    past: int = 0,
    past_present: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor | None:
    """Build the attention mask of a sequence of segments.

    Convention:
        - tokens that are not causal are seen by all tokens, causal ones by causal ones at the same place
          or later.
        - tokens of earlier calls are seen by all.
        - absent tokens are seen by none but themselves, so that no token sees nothing.

    Args:
        lengths: Tokens of every segment, ``S`` in all.
        causal: Whether each segment is causal.
        present: ``(N, S)`` bool, which of these tokens are present; None where all are.
        past: Tokens of earlier calls.
        past_present: ``(N, past)`` bool, which of those are present; None where all are.
        device: Where to build the mask.

    Returns:
        Bool, True where a token may look, ``(S, T)`` or ``(N, 1, S, T)``; None where all may look everywhere.
    """
    count = sum(lengths)
    # A token alone sees itself whether it is causal or not.
    ordered = count > 1 and any(flag and length for flag, length in zip(causal, lengths, strict=True))
    order = _order(lengths, causal, past, device) if ordered else None
    present = _all_present(present, count, past_present, past)
    if present is None:
        return order
    itself = F.pad(torch.eye(count, dtype=torch.bool, device=device), (past, 0))
    seen = present[:, None, None, :]
    return (seen if order is None else seen & order) | itself


def _order(lengths: Sequence[int], causal: Sequence[bool], past: int, device: torch.device | None) -> Tensor:
    """``(S, T)`` visibility by order alone."""
    flags = [flag for flag, length in zip(causal, lengths, strict=True) for _ in range(length)]
    is_causal = torch.tensor(flags, device=device)
    place = torch.arange(len(flags), device=device)
    order = ~is_causal | (is_causal[:, None] & (place <= place[:, None]))
    return F.pad(order, (past, 0), value=True)


def _all_present(present: Tensor | None, count: int, past_present: Tensor | None, past: int) -> Tensor | None:
    """``(N, T)`` presence of old and new tokens; None where all are present."""
    if present is None:
        if past_present is None:
            return None
        present = past_present.new_ones(len(past_present), count)
    if past_present is None:
        past_present = present.new_ones(len(present), past)
    return torch.cat((past_present, present), dim=1)
