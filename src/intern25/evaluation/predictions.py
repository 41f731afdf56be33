# SPDX-License-Identifier: MIT
"""Run a detector over a data set and keep what it finds in compact form, masks as run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn

from intern25.data.detection.annotations import DetectionImages
from intern25.data.detection.batch import DetectionBatch
from intern25.data.detection.loader import evaluation_loader
from intern25.data.resizing import DetectionPreprocessing
from intern25.data.run_lengths import encode_mask
from intern25.results import Detections


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """The objects found in one picture, best first.

    Convention: boxes are (left, top, right, bottom) in pixels of the picture.
    """

    boxes: NDArray[np.float64]
    """``(K, 4)``."""
    scores: NDArray[np.float64]
    """``(K,)``, descending."""
    labels: NDArray[np.int64]
    """``(K,)``."""
    masks: tuple[dict[str, Any], ...] | None = None
    """One a box; None for a model without masks."""

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_detections(cls, found: Detections) -> Prediction:
        """Return the compact form of a model's result."""
        order = np.argsort(-np.asarray(found.scores, dtype=np.float64), kind="stable")
        return cls(
            boxes=np.asarray(found.boxes, dtype=np.float64).reshape(-1, 4)[order],
            scores=np.asarray(found.scores, dtype=np.float64)[order],
            labels=np.asarray(found.labels, dtype=np.int64)[order],
            masks=None if found.masks is None else tuple(encode_mask(found.masks[row]) for row in order),
        )

    def of_class(self, label: int) -> NDArray[np.int64]:
        """Rows of one class."""
        return np.flatnonzero(self.labels == label)

    def best(self, number: int) -> Prediction:
        """Return the ``number`` objects of the highest scores."""
        return self.select(range(min(number, len(self))))

    def select(self, rows: Sequence[int]) -> Prediction:
        """Return the objects at ``rows``, in that order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Prediction(
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            masks=None if self.masks is None else tuple(self.masks[row] for row in chosen),
        )


@torch.no_grad()
def predict(
    model: nn.Module,
    images: DetectionImages,
    preprocessing: DetectionPreprocessing,
    *,
    batch_size: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
) -> list[Prediction]:
    """Return what a detector finds in every picture.

    Args:
        model: Detector of this package or one with the same call; its mode is put back afterwards.
        images: Pictures, shared between the processes of a distributed run.
        preprocessing: From pictures to the model's input.
        batch_size: Pictures a batch; padding to a common size changes results slightly, the published way
            is 1.
        workers: Loader processes; 0 decodes in this process.
        device: Where the model lies.
        bfloat16: Run under bfloat16 autocast.

    Returns:
        One prediction a picture, in order, equal on all processes.

    Raises:
        ValueError: There are no pictures.
    """
    if not len(images):
        raise ValueError("there are no pictures to score")
    device = torch.device(device)
    distributed = dist.is_available() and dist.is_initialized()
    rank, processes = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    loader = evaluation_loader(
        images, preprocessing, batch_size=batch_size, workers=workers, rank=rank, processes=processes
    )
    found: dict[int, Prediction] = {}
    was_training = model.training
    model.eval()
    try:
        for batch in loader:
            batch = cast(DetectionBatch, batch).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                results = model(
                    batch.images, image_sizes=batch.image_sizes, original_sizes=batch.original_sizes
                )
            rows = zip(batch.index.tolist(), results, strict=True)
            found |= {row: Prediction.from_detections(result) for row, result in rows}
    finally:
        model.train(was_training)
    return _gathered(found, len(images)) if distributed else [found[row] for row in range(len(images))]


def _gathered(found: dict[int, Prediction], number: int) -> list[Prediction]:
    """Predictions of all processes, in order."""
    shares: list[dict[int, Prediction] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(shares, found)
    together: dict[int, Prediction] = {}
    for share in shares:
        together |= cast(dict[int, Prediction], share)
    return [together[row] for row in range(number)]
