# SPDX-License-Identifier: MIT
"""Found objects as lines of text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intern25.results import Detections, Language


def object_rows(result: Detections, language: Language) -> list[str]:
    """Return one line an object: score, name, corners."""
    names = result.names(language)
    if not names:
        return ["  nothing found"]
    rows = zip(result.scores.tolist(), names, result.boxes.tolist(), strict=True)
    return [
        f"{score:>7.1%}  {name}  ({', '.join(f'{value:.0f}' for value in box)})" for score, name, box in rows
    ]


def object_summary(result: Detections, language: Language) -> str:
    """Return how many objects there are of each class, in a line."""
    counts = Counter(result.names(language)).most_common()
    return ", ".join(f"{name} {count}" for name, count in counts) or "nothing found"
