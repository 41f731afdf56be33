# SPDX-License-Identifier: MIT
"""DCNv3 by plain loops in float64, from the formula alone: what every implementation is checked against."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from intern25.ops.dcnv3.geometry import Geometry

Array = NDArray[np.float64]


def positions(geometry: Geometry, oy: int, ox: int) -> list[tuple[float, float, float]]:
    """Regular grid of one output pixel: ``(x, y, scale)`` of every point, without ``scale * offset``."""
    (kernel_h, kernel_w), (dilation_h, dilation_w) = geometry.kernel_size, geometry.dilation
    centre_x, centre_y = (dilation_w * (kernel_w - 1)) // 2, (dilation_h * (kernel_h - 1)) // 2
    x0 = centre_x - geometry.padding[1] + ox * geometry.stride[1]
    y0 = centre_y - geometry.padding[0] + oy * geometry.stride[0]
    scale = geometry.offset_scale
    grid = []
    for i in range(kernel_w):
        for j in range(kernel_h):
            if geometry.remove_center and i == kernel_w // 2 and j == kernel_h // 2:
                continue
            x = (x0 - centre_x * scale) + i * dilation_w * scale
            y = (y0 - centre_y * scale) + j * dilation_h * scale
            grid.append((x, y, scale))
    return grid


def bilinear(plane: Array, x: float, y: float) -> Array:
    """Channels of ``plane`` (H, W, D) at ``(x, y)``; zero outside."""
    height, width, _ = plane.shape
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(plane.shape[2])
    for row, column in product((top, top + 1), (left, left + 1)):
        if 0 <= row < height and 0 <= column < width:
            value += plane[row, column] * ((1 - abs(x - column)) * (1 - abs(y - row)))
    return value


def dcnv3(x: Array, offset: Array, mask: Array, geometry: Geometry) -> Array:
    """Output ``(N, H_out, W_out, C)``, one sampling point at a time."""
    batch, out_height, out_width, _ = offset.shape
    groups, points = geometry.groups, geometry.num_points
    depth = x.shape[3] // groups
    output = np.zeros((batch, out_height, out_width, groups * depth))
    for n, oy, ox, g in product(range(batch), range(out_height), range(out_width), range(groups)):
        channels = slice(g * depth, (g + 1) * depth)
        weights = mask[n, oy, ox, g * points : (g + 1) * points]
        if geometry.softmax:
            weights = np.exp(weights) / np.exp(weights).sum()
        for k, (x0, y0, scale) in enumerate(positions(geometry, oy, ox)):
            dx, dy = offset[n, oy, ox, (g * points + k) * 2 : (g * points + k) * 2 + 2]
            sample = bilinear(x[n, :, :, channels], x0 + scale * dx, y0 + scale * dy)
            output[n, oy, ox, channels] += weights[k] * sample
    return output
