# SPDX-License-Identifier: MIT
"""Calls of DCNv3 with ugly sizes, and tensors for them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from intern25.ops.dcnv3.geometry import Geometry
from tests.ops.dcnv3 import oracle


@dataclass(frozen=True)
class Case:
    geometry: Geometry
    batch: int
    height: int
    width: int
    depth: int


CASES = {
    "3x3": Case(Geometry(groups=2), 2, 5, 6, 16),
    "one-pixel-wide": Case(Geometry(groups=3), 1, 7, 1, 5),
    "one-channel": Case(Geometry(groups=4), 3, 4, 5, 1),
    "scale-2": Case(Geometry(groups=2, offset_scale=2.0), 1, 6, 7, 20),
    "stride-2": Case(Geometry(groups=2, stride=(2, 2)), 2, 9, 8, 8),
    "5x5-scale-0.3": Case(
        Geometry(kernel_size=(5, 5), padding=(2, 2), groups=2, offset_scale=0.3), 1, 6, 5, 12
    ),
    "wide-kernel": Case(Geometry(kernel_size=(3, 5), padding=(1, 2), groups=2), 1, 6, 7, 4),
    "tall-kernel-all-unequal": Case(
        Geometry(kernel_size=(5, 2), stride=(2, 3), padding=(3, 1), dilation=(1, 2), groups=1), 2, 11, 9, 7
    ),
    "even-kernel": Case(Geometry(kernel_size=(4, 4), groups=2), 1, 7, 6, 8),
    "no-padding-dilated": Case(Geometry(padding=(0, 0), dilation=(2, 2), groups=2), 1, 8, 7, 8),
    "remove-center": Case(Geometry(groups=2, remove_center=True), 2, 5, 4, 8),
    "remove-center-5x5-dilated": Case(
        Geometry(kernel_size=(5, 5), padding=(4, 4), dilation=(2, 2), groups=1, remove_center=True),
        1,
        6,
        6,
        3,
    ),
    "1x1": Case(Geometry(kernel_size=(1, 1), padding=(0, 0), groups=2), 1, 4, 5, 6),
    "32-channels": Case(Geometry(groups=1), 1, 4, 4, 32),
    "empty-batch": Case(Geometry(groups=2), 0, 5, 6, 8),
}


def inputs(case: Case, dtype: torch.dtype = torch.float64, *, softmax: bool = False) -> tuple[Tensor, ...]:
    """Own copies of ``x``, ``offset``, ``mask`` and a gradient of the output.

    Sampling positions keep a distance of 0.2 to integers, where the derivative jumps, and leave the image.
    """
    return tuple(tensor.to(dtype, copy=True) for tensor in _inputs(case, softmax))


@functools.cache
def _inputs(case: Case, softmax: bool) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    geometry = case.geometry
    height, width = geometry.output_size(case.height, case.width)
    shape = (case.batch, height, width)

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    regular = torch.tensor(
        [
            [[(x, y) for x, y, _ in oracle.positions(geometry, oy, ox)] for ox in range(width)]
            for oy in range(height)
        ],
        dtype=torch.float64,
    ).unsqueeze(2)  # (H_out, W_out, 1, K, 2)
    wish = regular + 2 * noise(*shape, geometry.groups, geometry.num_points, 2)
    wish = wish.floor() + 0.2 + 0.6 * torch.rand(wish.shape, generator=generator, dtype=torch.float64)
    offset = ((wish - regular) / geometry.offset_scale).flatten(3)
    mask = noise(*shape, geometry.groups * geometry.num_points)
    if not softmax:
        mask = mask.unflatten(-1, (geometry.groups, -1)).softmax(-1).flatten(3)
    channels = geometry.groups * case.depth
    return noise(case.batch, case.height, case.width, channels), offset, mask, noise(*shape, channels)


def with_softmax(case: Case, softmax: bool) -> Geometry:
    """The case's geometry, with the softmax inside the operator or not."""
    return replace(case.geometry, softmax=softmax)
