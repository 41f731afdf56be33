# SPDX-License-Identifier: MIT
"""Which of the objects that a detector finds are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intern25.results import Detections


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the found objects are wanted."""

    threshold: float
    """Smallest score."""
    labels: tuple[int, ...] | None
    """Class numbers; None for all."""
    max_detections: int
    """Most objects of one picture."""

    def rows(self, found: Detections) -> NDArray[np.int64]:
        """Return the numbers of the wanted objects, best first."""
        wanted = found.scores >= self.threshold
        if self.labels is not None:
            wanted &= np.isin(found.labels, self.labels)
        order = np.argsort(-found.scores, kind="stable")
        return order[wanted[order]][: self.max_detections]

    def __call__(self, found: Detections) -> Detections:
        """Return the wanted objects, best first."""
        return found.select(self.rows(found))
