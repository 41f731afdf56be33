"""A detector small enough to learn the coloured shapes in seconds, with the contract of the real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.detection.targets import DetectionTarget
from intern25.results import Detections

STRIDE = 8


class ColourDetector(nn.Module):
    """Centres by class and box sides at one cell in eight pixels; no masks.

    Args:
        num_classes: Classes.
    """

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 5, 4, 2), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(24, 24, 5, 1, 2), nn.ReLU(), nn.Conv2d(24, 24, 5, 1, 2), nn.ReLU(),
        )  # fmt: skip
        self.centres = nn.Conv2d(24, num_classes, 1)
        self.sides = nn.Conv2d(24, 2, 1)
        nn.init.constant_(self.centres.bias, -2.0)  # type: ignore[arg-type]

    def forward(
        self,
        images: Tensor,
        image_sizes: Sequence[tuple[int, int]] | None = None,
        original_sizes: Sequence[tuple[int, int]] | None = None,
        targets: Sequence[DetectionTarget] | None = None,
    ) -> list[Detections] | dict[str, Tensor]:
        x = self.features(images)
        heat, sides = self.centres(x), self.sides(x)
        if targets is not None:
            return self._losses(heat, sides, targets)
        assert image_sizes is not None
        originals = original_sizes or image_sizes
        return [
            self._found(heat[i], sides[i], size, original)
            for i, (size, original) in enumerate(zip(image_sizes, originals, strict=True))
        ]

    def _losses(self, heat: Tensor, sides: Tensor, targets: Sequence[DetectionTarget]) -> dict[str, Tensor]:
        wanted, errors = torch.zeros_like(heat), []
        for i, target in enumerate(targets):
            for box, label in zip(target.boxes, target.labels, strict=True):
                column, row = ((box[:2] + box[2:]) / 2 / STRIDE).long().tolist()
                wanted[i, label, row, column] = 1.0
                errors.append((sides[i, :, row, column] - (box[2:] - box[:2]) / 32).abs().mean())
        weight = 1.0 + 9.0 * wanted
        return {
            "centres": F.binary_cross_entropy_with_logits(heat, wanted, weight) * 10,
            # A mean over pictures, not over objects: then processes that share them compute the same.
            "sides": torch.stack(errors).sum() / (4 * len(targets)),
        }

    def _found(
        self, heat: Tensor, sides: Tensor, size: tuple[int, int], original: tuple[int, int]
    ) -> Detections:
        scores = heat.sigmoid()
        scores = scores * (scores == F.max_pool2d(scores[None], 3, 1, 1)[0])
        values, places = scores.flatten().topk(8)
        cells = heat.shape[1] * heat.shape[2]
        labels, rest = places // cells, places % cells
        row, column = rest // heat.shape[2], rest % heat.shape[2]
        centre = torch.stack((column, row), dim=1) * STRIDE + STRIDE / 2
        half = sides[:, row, column].T * 16
        boxes = torch.cat((centre - half, centre + half), dim=1)
        scale = torch.tensor([original[1] / size[1], original[0] / size[0]] * 2)
        return Detections(
            boxes=(boxes * scale).numpy().astype(np.float32),
            scores=values.numpy().astype(np.float32),
            labels=labels.numpy().astype(np.int64),
            size=original,
        )
