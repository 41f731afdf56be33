"""Colours change by chance, within their limits, and follow from the seed."""

from __future__ import annotations

import random

import numpy as np
import torch

from intern25.data.photometric import distort

IMAGE = torch.from_numpy(np.random.default_rng(0).integers(60, 190, (3, 12, 16), dtype=np.uint8))


def test_draws_follow_from_the_seed() -> None:
    outputs = [distort(IMAGE, random.Random(seed)) for seed in range(40)]
    assert all(torch.equal(a, distort(IMAGE, random.Random(s))) for s, a in enumerate(outputs))
    assert all(o.dtype == torch.uint8 and o.shape == IMAGE.shape for o in outputs)
    unchanged = sum(torch.equal(output, IMAGE) for output in outputs)
    assert 0 < unchanged < 12  # all four changes stay out with probability 1/16


def test_grey_levels_stay_within_the_limits() -> None:
    grey = torch.full((3, 4, 4), 100, dtype=torch.uint8)  # saturation and hue leave grey as it is
    levels = [int(distort(grey, random.Random(seed))[0, 0, 0]) for seed in range(300)]
    assert 33 <= min(levels) < 60  # (100 - 32) * 0.5 at least, up to a level of rounding
    assert 160 < max(levels) <= 199
