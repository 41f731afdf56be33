# SPDX-License-Identifier: MIT
"""Multi-scale deformable attention by plain loops in float64, from the formula alone, with its gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def deform_attn(
    value: Array, shapes: tuple[tuple[int, int], ...], locations: Array, weights: Array, grad: Array
) -> tuple[Array, Array, Array, Array]:
    """Output and gradients of value, locations and weights, one corner of one sampling point at a time."""
    depth = value.shape[3]
    output, grad_value = np.zeros(grad.shape), np.zeros(value.shape)
    grad_locations, grad_weights = np.zeros(locations.shape), np.zeros(weights.shape)
    for n, q, head, level, point in np.ndindex(weights.shape):
        height, width = shapes[level]
        start = sum(h * w for h, w in shapes[:level])
        tap, channels = (n, q, head, level, point), slice(head * depth, (head + 1) * depth)
        x, y = locations[tap][0] * width - 0.5, locations[tap][1] * height - 0.5
        for column, row, share, slope_x, slope_y in _corners(x, y, height, width):
            token = start + row * width + column
            output[n, q, channels] += weights[tap] * share * value[n, token, head]
            grad_value[n, token, head] += weights[tap] * share * grad[n, q, channels]
            inner = float(value[n, token, head] @ grad[n, q, channels])
            grad_weights[tap] += share * inner
            grad_locations[tap][0] += weights[tap] * slope_x * width * inner
            grad_locations[tap][1] += weights[tap] * slope_y * height * inner
    return output, grad_value, grad_locations, grad_weights


def _corners(x: float, y: float, height: int, width: int) -> Iterator[tuple[int, int, float, float, float]]:
    """Column, row, share and its derivatives of the up to four pixels around ``(x, y)``."""
    if not (-1 < x < width and -1 < y < height):
        return
    left, top = math.floor(x), math.floor(y)
    for column, share_x, slope_x in ((left, left + 1 - x, -1.0), (left + 1, x - left, 1.0)):
        for row, share_y, slope_y in ((top, top + 1 - y, -1.0), (top + 1, y - top, 1.0)):
            if 0 <= column < width and 0 <= row < height:
                yield column, row, share_x * share_y, slope_x * share_y, share_x * slope_y
