# SPDX-License-Identifier: MIT
"""What a detector must beat: the same boxes in every picture."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import DetectionImages
from intern25.evaluation.predictions import Prediction

MOST_BOXES = 100


@dataclass(frozen=True, slots=True, eq=False)
class MeanBoxes:
    """Of each class as many boxes as a picture has, of their mean size, spread evenly.

    The more frequent a class, the higher its scores.
    """

    sides: dict[int, NDArray[np.float64]]
    """Mean (width, height) of each class as shares of the picture."""
    number: dict[int, float]
    """Objects of each class in a picture."""

    @classmethod
    def of(cls, images: DetectionImages) -> MeanBoxes:
        """Measure the training pictures."""
        sides: defaultdict[int, list[NDArray[np.float64]]] = defaultdict(list)
        for index in range(len(images)):
            annotation = images.annotation(index)
            height, width = annotation.size
            for box, label in zip(annotation.boxes, annotation.labels, strict=True):
                sides[int(label)].append(np.array([(box[2] - box[0]) / width, (box[3] - box[1]) / height]))
        means = {label: np.mean(rows, axis=0) for label, rows in sides.items()}
        return cls(means, {label: len(rows) / len(images) for label, rows in sides.items()})

    def predict(self, size: tuple[int, int]) -> Prediction:
        """Return the boxes for a picture of ``size``, (height, width)."""
        scale = np.array([size[1], size[0]], dtype=np.float64)
        rows: list[tuple[float, int, NDArray[np.float64]]] = []
        for label, sides in self.sides.items():
            for rank, centre in enumerate(_grid(max(1, round(self.number[label])))):
                score = min(1.0, self.number[label] / MOST_BOXES) * (1 - rank / 1000)
                box = np.concatenate((centre - sides / 2, centre + sides / 2)) * np.tile(scale, 2)
                rows.append((score, label, box))
        rows = sorted(rows, key=lambda row: -row[0])[:MOST_BOXES]
        return Prediction(
            boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
            scores=np.array([row[0] for row in rows], dtype=np.float64),
            labels=np.array([row[1] for row in rows], dtype=np.int64),
        )


def _grid(count: int) -> NDArray[np.float64]:
    """Centres ``(count, 2)`` of cells that cover the picture, as shares of it."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = [((c + 0.5) / columns, (r + 0.5) / rows) for r in range(rows) for c in range(columns)]
    return np.array(cells[:count])
