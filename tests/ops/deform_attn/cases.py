# SPDX-License-Identifier: MIT
"""Calls of multi-scale deformable attention with ugly sizes, and tensors for them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

Shapes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Case:
    shapes: Shapes
    batch: int = 1
    queries: int = 5
    heads: int = 2
    depth: int = 8
    points: int = 4
    spread: float = 1.6
    """Length of the interval about the centre in which locations lie; 1 = the map."""


CASES = {
    "pyramid": Case(((7, 9), (4, 5), (2, 3), (1, 2)), batch=2, queries=6, heads=3, depth=16),
    "32-channels": Case(((5, 7), (3, 4), (2, 2)), queries=7, heads=2, depth=32),
    "64-channels": Case(((3, 4), (2, 2)), queries=3, heads=1, depth=64),
    "odd-depth": Case(((3, 5), (2, 3)), heads=3, depth=21, points=3),
    "one-channel": Case(((4, 3),), batch=3, heads=5, depth=1),
    "one-point": Case(((3, 3), (2, 1)), heads=2, depth=33, points=1),
    "many-points": Case(((5, 4), (3, 2)), queries=2, heads=2, depth=20, points=13),
    "more-heads-than-a-block": Case(((4, 5), (2, 3), (1, 1), (2, 2)), queries=2, heads=37, depth=2),
    "more-taps-than-a-block": Case(((2, 3), (3, 2)), queries=2, heads=2, depth=4, points=150),
    "one-pixel": Case(((1, 1),), queries=4, depth=5),
    "one-pixel-levels": Case(((1, 1), (1, 1), (3, 2)), depth=32),
    "one-row-one-column": Case(((1, 6), (5, 1)), batch=2, depth=12),
    "far-outside": Case(((4, 5), (2, 3)), spread=9.0),
    "no-query": Case(((3, 4),), batch=2, queries=0),
    "empty-batch": Case(((3, 4), (2, 2)), batch=0),
}


def inputs(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Own copies of ``value``, ``sampling_locations``, ``attention_weights`` and a gradient of the output.

    Positions keep a distance of 0.2 to integers, where the derivative jumps, and leave the maps. Half values
    come with float32 locations and weights, the types the operator computes in.
    """
    sampling = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
    value, locations, weights, grad = _inputs(case)
    return (
        value.to(dtype, copy=True),
        locations.to(sampling, copy=True),
        weights.to(sampling, copy=True),
        grad.to(dtype, copy=True),
    )


@functools.cache
def _inputs(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = sum(height * width for height, width in case.shapes)
    size = torch.tensor([(width, height) for height, width in case.shapes], dtype=torch.float64)[:, None]
    taps = (case.batch, case.queries, case.heads, len(case.shapes), case.points)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    wish = (0.5 + (uniform(*taps, 2) - 0.5) * case.spread) * size - 0.5
    wish = wish.floor() + 0.2 + 0.6 * uniform(*taps, 2)
    weights = normal(*taps).flatten(3).softmax(-1).view(taps)
    value = normal(case.batch, tokens, case.heads, case.depth)
    return value, (wish + 0.5) / size, weights, normal(case.batch, case.queries, case.heads * case.depth)
