# SPDX-License-Identifier: MIT
"""Hold pictures out for validation where a data set has no split for it."""

from __future__ import annotations

import numpy as np


def hold_out(count: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Positions kept, and ``max(1, round(fraction * count))`` held out, chosen by the seed.

    Raises:
        ValueError: ``fraction`` is not between 0 and 1, or there is only one picture.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"the validation fraction {fraction} must lie between 0 and 1")
    if count < 2:
        raise ValueError("one picture cannot be split into training and validation; give a val split")
    number = min(count - 1, max(1, round(fraction * count)))
    chosen = np.random.default_rng(seed).permutation(count)
    return sorted(chosen[number:].tolist()), sorted(chosen[:number].tolist())
