# SPDX-License-Identifier: MIT
"""Moments with weights of any sum, computed by torch's AdamW, whose weights have the sum 1."""

from __future__ import annotations

import math
from typing import NamedTuple


class History(NamedTuple):
    """What an update of a parameter depends on besides its moments and gradient; a tuple in its state."""

    touching: int = 0
    """Tasks that gave the parameter a gradient; bit ``i`` is the task ``i`` of the sorted ones."""
    missing: int = 0
    """Tasks that were trained without."""
    updates: int = 0
    """Updates of the parameter."""
    scale: float = 0.0
    """What ``exp_avg`` is to be multiplied with to be ``m``."""
    scale_sq: float = 0.0
    """What ``exp_avg_sq`` is to be multiplied with to be ``n``."""


class AdamWNumbers(NamedTuple):
    """What AdamW is to be called with, as if it were its first step."""

    betas: tuple[float, float]
    """Shares of the moments that stay."""
    rate: float
    """Factor of the learning rate, and what divides the weight decay."""
    eps: float
    """Factor of epsilon."""


def advance(
    history: History, weight: float, weight_sq: float, fractions: tuple[float, float]
) -> tuple[History, AdamWNumbers]:
    r"""Return the history after one more gradient, and how AdamW computes the update.

    $$ m_t = (1 - b_1) m_{t-1} + w \nabla_t = c_t M_t, \quad c_t = (1 - b_1) c_{t-1} + w, \quad
    M_t = \beta_1 M_{t-1} + (1 - \beta_1) \nabla_t, \quad \beta_1 = (1 - b_1) \frac{c_{t-1}}{c_t} $$

    and alike for ``n`` with the scale ``d``. AdamW keeps ``M``; learning rate and epsilon take up the scales,
    the bias correction of ``m`` and ``n``, and AdamW's own, which in a first step is ``1 - beta``.

    Args:
        history: Before.
        weight: ``w``, which the gradient has in ``m``; above 0.
        weight_sq: Weight of the squared gradient in ``n``; above 0.
        fractions: ``b_1`` and ``b_2``.
    """
    stay, stay_sq = 1.0 - fractions[0], 1.0 - fractions[1]
    updates = history.updates + 1
    scale = stay * history.scale + weight
    scale_sq = stay_sq * history.scale_sq + weight_sq
    share, share_sq = weight / scale, weight_sq / scale_sq
    corrected = scale / (1.0 - stay**updates) * share
    root = math.sqrt(scale_sq / (1.0 - stay_sq**updates) * share_sq)
    after = history._replace(updates=updates, scale=scale, scale_sq=scale_sq)
    return after, AdamWNumbers(betas=(1.0 - share, 1.0 - share_sq), rate=corrected / root, eps=1.0 / root)
