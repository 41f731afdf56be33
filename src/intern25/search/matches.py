# SPDX-License-Identifier: MIT
"""What a search finds: pictures, and moments of videos of which near-identical neighbours are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]

# A missed frame in between does not end a moment; a cut does.
_LONGEST_GAP = 2.5
_NEAR_IDENTICAL = 0.9


@dataclass(frozen=True, slots=True)
class Match:
    """One place of an album that fits a query."""

    path: str
    """Relative to the album, with forward slashes."""
    time: float | None
    """Seconds from the start of a video, None for a picture."""
    score: float
    """Cosine of query and picture, or region: at most 1, comparable within one model."""
    box: Box | None = None
    """Left, top, right, bottom of the part that fits, in pixels; None for the whole picture."""

    def to_record(self) -> dict[str, Any]:
        """Return the match as a dict for JSON."""
        return {
            "path": self.path,
            "time": None if self.time is None else round(self.time, 3),
            "score": round(self.score, 4),
            "box": None if self.box is None else [round(side, 2) for side in self.box],
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that fits, before neighbours are merged."""

    match: Match
    every: float | None
    """Seconds between the moments of the video."""
    embedding: NDArray[np.float32]
    """Of the whole picture, ``(D,)``."""


def merged(candidates: Iterable[Candidate]) -> list[Match]:
    """Return one match for each picture and each moment, the best first.

    Convention:
        - rows of one path and time, left by a run that was stopped, are one.
        - neighbours: frames of one video that follow each other, at most one left out, and whose embeddings
          have a cosine of 0.9 or more; of a chain of them the best stays.
    """
    by_path: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_path.setdefault(candidate.match.path, []).append(candidate)
    matches = [
        max((row.match for row in moment), key=lambda match: match.score)
        for rows in by_path.values()
        for moment in _moments(rows)
    ]
    return sorted(matches, key=lambda match: (-match.score, match.path, match.time or 0.0))


def _moments(rows: Sequence[Candidate]) -> list[list[Candidate]]:
    """The rows of one path, cut where one is not like the next."""
    ordered = sorted(rows, key=lambda row: row.match.time or 0.0)
    moments = [[ordered[0]]]
    for first, second in pairwise(ordered):
        if _are_near(first, second):
            moments[-1].append(second)
        else:
            moments.append([second])
    return moments


def _are_near(first: Candidate, second: Candidate) -> bool:
    if first.match.time is None or second.match.time is None:
        return first.match.time == second.match.time
    gap = second.match.time - first.match.time
    if gap == 0.0:
        return True
    is_next = gap <= _LONGEST_GAP * (second.every or 0.0)
    return is_next and float(first.embedding @ second.embedding) >= _NEAR_IDENTICAL
