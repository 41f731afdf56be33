# SPDX-License-Identifier: MIT
"""What a suite of whole models is: contestants, the one that ratios are taken to, and the cases to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from intern25.evaluation.contestants import Contestant, Size
from intern25.evaluation.passes import DType, Pass

Work = Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSuite:
    """Whole models of one task."""

    name: str
    """Name in result files."""
    contestants: Mapping[str, Contestant]
    """Name of a row to its model."""
    baseline: str
    """The contestant that ratios are taken to."""
    image_sizes: tuple[Size, ...]
    """Usual (height, width) of the images."""
    batch_sizes: tuple[int, ...] = (1,)
    """Images in a batch."""
    dtypes: tuple[DType, ...] = ("float32",)
    """Types of weights and images."""
    passes: tuple[Pass, ...] = ("forward",)
    """``train`` where models return one tensor to make a loss of."""
    smallest_side: int = 1
    """Sides of images below this break a contestant."""
    work: Callable[[nn.Module, Tensor], Work] | None = None
    """Counts what a model makes of images, where that depends on its weights."""

    def choose(self, names: Sequence[str]) -> list[str]:
        """The contestants of these names, all for none.

        Raises:
            ValueError: A name is unknown.
        """
        unknown = [name for name in names if name not in self.contestants]
        if unknown:
            raise ValueError(f"unknown models {unknown}; choose out of {', '.join(self.contestants)}")
        return list(names or self.contestants)

    def choose_sizes(self, sizes: Sequence[Size]) -> list[Size]:
        """These (height, width), the usual ones for none.

        Raises:
            ValueError: An image is too small.
        """
        for height, width in sizes:
            if min(height, width) < self.smallest_side:
                raise ValueError(
                    f"an image of {height}x{width} is too small: the suite {self.name} needs sides of "
                    f"{self.smallest_side} pixels or more"
                )
        return list(sizes or self.image_sizes)

    def choose_passes(self, passes: Sequence[Pass]) -> list[Pass]:
        """These passes, all that the suite has for none.

        Raises:
            ValueError: The suite has no such pass.
        """
        unknown = [kind for kind in passes if kind not in self.passes]
        if unknown:
            raise ValueError(f"the suite {self.name} has no pass {unknown}, only {', '.join(self.passes)}")
        return list(passes or self.passes)
