# SPDX-License-Identifier: MIT
"""What the builders of all packs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.packs import PackFolder
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.mixture import MixturePart

HeldOut = Literal["val", "test"]
HOLD_OUT = 0.05
"""Share of the training pictures that is held out where a data set has no validation pictures."""
VAL_SEED, TEST_SEED = 20230314, 20230315
"""Seeds of rendered scenes and texts that never train."""
HELD_OUT_SCENES = 1000
"""Rendered scenes and texts that are scored."""
QUESTION_SIZE = (192, 256)
"""Height and width that pictures of every kind have while they are asked about."""
SQUARE = (128, 128)
"""The same for square ones."""


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """What all tasks of a mixture share."""

    tokenizer: Tokenizer
    """Turns text into tokens."""
    held_out: HeldOut = "val"
    """What is scored."""
    seed: int = 0
    """Seed of what is held out."""
    evaluate_most: int = 0
    """Most held-out pictures of a task; 0 = all."""
    scenes: int = 200_000
    """Rendered scenes and texts to learn from."""

    def __post_init__(self) -> None:
        # Close views of scenes have the next seed.
        if {self.seed, self.seed + 1} & {VAL_SEED, TEST_SEED}:
            raise ValueError(f"seed={self.seed} is kept for what is scored; take another one")


def held_out_part(
    pictures: AnnotatedPictures[Any],
    seed: int,
    share: float = HOLD_OUT,
    *,
    group: Callable[[str], str] = str,
) -> tuple[AnnotatedPictures[Any], AnnotatedPictures[Any]]:
    """Cut pictures off for validation.

    Args:
        pictures: Pictures of a training split.
        seed: Which ones.
        share: How many.
        group: From a picture's name to what it belongs to; pictures that belong together stay together.
    """
    groups = [group(name) for name in pictures.names]
    kinds = list(dict.fromkeys(groups))
    order = np.random.default_rng(seed).permutation(len(kinds)).tolist()
    chosen = {kinds[index] for index in order[: max(1, round(share * len(kinds)))]}
    kept = [index for index, name in enumerate(groups) if name not in chosen]
    return pictures.select(kept), pictures.select(sorted(set(range(len(pictures))) - set(kept)))


Builder = Callable[[PackFolder, PackSettings], MixturePart | None]
"""From the packs to a task, or None where they do not have its data."""
