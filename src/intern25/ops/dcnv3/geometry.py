# SPDX-License-Identifier: MIT
"""The sampling geometry of DCNv3: everything about a call that is not a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[int, int]


def as_pair(value: int | Pair, name: str) -> Pair:
    """Return ``(height, width)`` from one int or a pair; ``name`` is for the error."""
    if isinstance(value, int):
        return value, value
    if not isinstance(value, Sequence) or not all(isinstance(side, int) for side in value):
        raise TypeError(f"{name}={value!r} must be an int or a (height, width) pair of ints")
    if len(value) != 2:
        raise ValueError(f"{name}={value!r} must be an int or a (height, width) pair")
    return value[0], value[1]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sampling grid of one DCNv3 call; every pair is ``(height, width)``."""

    kernel_size: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    offset_scale: float = 1.0
    remove_center: bool = False
    softmax: bool = False
    """Whether ``mask`` holds logits that the operator normalises over the points itself."""

    def __post_init__(self) -> None:
        for name, low in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            pair = getattr(self, name)
            if min(pair) < low:
                raise ValueError(f"{name}={pair} must be at least {low} in both directions")
        if self.groups < 1:
            raise ValueError(f"groups={self.groups} must be at least 1")
        height, width = self.kernel_size
        if self.remove_center and (height != width or height % 2 == 0):
            raise ValueError(
                f"remove_center needs an odd square kernel, got kernel_size={self.kernel_size}; "
                "use remove_center=False or a kernel such as 3 or 5"
            )

    @property
    def num_points(self) -> int:
        """Sampling points of one output pixel and group, ``K``."""
        return self.kernel_size[0] * self.kernel_size[1] - int(self.remove_center)

    def output_size(self, height: int, width: int) -> Pair:
        """Size of the output map for an input of ``height`` by ``width``."""
        (k_h, k_w), (pad_h, pad_w) = self.kernel_size, self.padding
        out_height = (height + 2 * pad_h - self.dilation[0] * (k_h - 1) - 1) // self.stride[0] + 1
        out_width = (width + 2 * pad_w - self.dilation[1] * (k_w - 1) - 1) // self.stride[1] + 1
        if out_height < 1 or out_width < 1:
            raise ValueError(
                f"input of {height}x{width} is smaller than kernel_size={self.kernel_size} with "
                f"padding={self.padding} and dilation={self.dilation}; pad or enlarge the input"
            )
        return out_height, out_width

    def points(self) -> list[Pair]:
        """Grid steps ``(i, j)`` along ``(x, y)`` in the order of the offsets: x slow, y fast."""
        height, width = self.kernel_size
        grid = [(i, j) for i in range(width) for j in range(height)]
        if self.remove_center:
            grid.remove((width // 2, height // 2))
        return grid
