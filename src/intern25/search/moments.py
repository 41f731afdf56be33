# SPDX-License-Identifier: MIT
"""Where in a video something is shown: spans of time that fit a text or an example picture.

What is special: frames are embedded a batch at a time and forgotten; what is kept of each is its time and one
number.
"""

# F sampled frames

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.images import ImageSource
from intern25.data.video import video_facts
from intern25.search.embedder import Embedder, Vectors, checked_vectors
from intern25.search.query import check_query, embedded_query
from intern25.search.reading import Shown, video_moments

Progress = Callable[[Iterator[Shown], int], Iterator[Shown]]
"""Wraps the frames that are looked at, and their number, to show how far the work is."""

SMOOTHING = (0.25, 0.5, 0.25)
"""Weights of a frame's neighbours and its own: it counts as much as they do together."""
USUAL_SHARE = 0.1
"""Share of the frames that fit worst, above which the similarity of the rest of the video is taken."""

# Rounding and the coding of the video must not part frames that show the same.
_SAME = 1e-4
# One frame left out does not end a moment.
_USUAL_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Moment:
    """A span of a video that fits a query."""

    start: float
    """Seconds from the start of the video."""
    end: float
    """Seconds from the start of the video."""
    best_time: float
    """When the frame is shown that fits best."""
    score: float
    """Its cosine with the query, smoothed over time: at most 1, comparable within one model."""

    def to_record(self) -> dict[str, Any]:
        """Return the moment as a dict for JSON."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "best_time": round(self.best_time, 3),
            "score": round(self.score, 4),
        }


@dataclass(frozen=True, slots=True, eq=False)
class FrameScores:
    """How well the sampled frames of a video fit a query."""

    times: NDArray[np.float64]
    """``(F,)`` seconds from the start of the video, ascending."""
    scores: NDArray[np.float64]
    """``(F,)`` cosines."""
    end: float
    """When the video ends, seconds."""


def find_moments(
    video: str | os.PathLike[str],
    query: ImageSource,
    embedder: Embedder,
    *,
    every_seconds: float = 1.0,
    top_k: int = 5,
    threshold: float = 0.5,
    gap_seconds: float | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> list[Moment]:
    """Find the moments of a video that fit a text or look like a picture; see :func:`moments_of`.

    Args:
        video: Video in any format that FFmpeg reads.
        query: A ``str`` is a text; a path object, bytes, a PIL image, an array or a tensor is a picture.
        embedder: The model.
        every_seconds: Seconds between the frames that are looked at.
        top_k: Most moments.
        threshold: As for :func:`moments_of`.
        gap_seconds: As for :func:`moments_of`.
        batch_size: Frames that go through the model at once.
        progress: Wraps the frames that are looked at, and their number.

    Returns:
        Spans that do not overlap, the best first.

    Raises:
        ValueError: The video cannot be read, the query is empty, or a number is out of range.
        ImportError: PyAV is not installed.

    Example:
        >>> embedder = open_embedder("intern25_tiny")  # doctest: +SKIP
        >>> find_moments("street.mp4", "红色的公交车", embedder, top_k=1)  # doctest: +SKIP
        [Moment(start=2.5, end=5.5, best_time=4.0, score=0.41)]
    """
    _check(every_seconds, top_k, batch_size)
    _check_spans(threshold, gap_seconds)
    check_query(query)
    video = Path(video)
    facts = video_facts(video)
    vector = embedded_query(query, embedder)
    duration = facts.frames / float(facts.rate) if facts.frames else 0.0
    shown = video_moments(video, every_seconds)
    if progress is not None:
        shown = progress(shown, math.ceil(duration / every_seconds))
    found = _scored(shown, vector, embedder, batch_size, duration)
    return moments_of(found, threshold=threshold, gap_seconds=gap_seconds)[:top_k]


def moments_of(
    frames: FrameScores, *, threshold: float = 0.5, gap_seconds: float | None = None
) -> list[Moment]:
    r"""Cut a video into moments by how well its frames fit.

    .. math:: \bar s_t = \tfrac14 s_{t-1} + \tfrac12 s_t + \tfrac14 s_{t+1}, \qquad
        \bar s_t \ge l + \theta \, (\max_u \bar s_u - l)

    Convention:
        - ``l`` is the similarity that a tenth of the frames do not reach: cosines of a model say nothing by
          themselves, only what they are above the rest of the video does.
        - a frame stands for the time that is nearer to it than to others: a span begins and ends halfway to
          the frames beside it.
        - where all frames fit alike, the whole video is one moment.

    Args:
        frames: Times and cosines.
        threshold: Share :math:`\theta` of the way from the rest of the video to its best frame, 0 to 1.
        gap_seconds: Spans no further apart are one; None joins them over one frame that is left out.

    Returns:
        Spans that do not overlap, the best first.

    Raises:
        ValueError: There are no frames, or a number is out of range.
    """
    _check_spans(threshold, gap_seconds)
    if not len(frames.times):
        raise ValueError("there are no frames to find moments in")
    scores = smoothed(frames.scores)
    low = float(np.quantile(scores, USUAL_SHARE))
    level = low + threshold * (float(scores.max()) - low) - _SAME
    edges = _edges(frames)
    spans = _joined(np.flatnonzero(scores >= level), edges, _gap(edges, gap_seconds))
    moments = []
    for first, last in spans:
        best = first + int(scores[first : last + 1].argmax())
        moments.append(
            Moment(
                float(edges[first]), float(edges[last + 1]), float(frames.times[best]), float(scores[best])
            )
        )
    return sorted(moments, key=lambda moment: (-moment.score, moment.start))


def smoothed(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(F,)`` scores averaged with their neighbours; the first and the last are their own."""
    padded = np.pad(np.asarray(scores, dtype=np.float64), 1, mode="edge")
    return np.convolve(padded, SMOOTHING, mode="valid")


def _scored(
    shown: Iterator[Shown], vector: Vectors, embedder: Embedder, batch_size: int, duration: float
) -> FrameScores:
    """Embed the frames batch by batch."""
    times: list[float] = []
    scores: list[float] = []
    while batch := list(islice(shown, batch_size)):
        vectors = embedder.embed_images([frame.pixels for frame in batch])
        scores.extend((checked_vectors(vectors, embedder, len(batch)) @ vector).tolist())
        times.extend(frame.time or 0.0 for frame in batch)
    # What a header says of the length is not always so: one step behind the last frame would be the next.
    step = times[-1] - times[-2] if len(times) > 1 else max(duration - times[-1], 0.0)
    end = min(max(duration, times[-1]), times[-1] + step)
    return FrameScores(np.array(times), np.array(scores), end)


def _edges(frames: FrameScores) -> NDArray[np.float64]:
    """``(F + 1,)`` times that part the frames, the start and the end of the video included."""
    times = frames.times
    return np.concatenate((times[:1], (times[:-1] + times[1:]) / 2, [max(frames.end, float(times[-1]))]))


def _gap(edges: NDArray[np.float64], gap_seconds: float | None) -> float:
    if gap_seconds is not None:
        return gap_seconds
    return _USUAL_GAP * float(np.median(np.diff(edges)))


def _joined(above: NDArray[np.int64], edges: NDArray[np.float64], gap: float) -> list[tuple[int, int]]:
    """First and last frame of each span."""
    spans: list[tuple[int, int]] = []
    for frame in above.tolist():
        if spans and edges[frame] - edges[spans[-1][1] + 1] <= gap:
            spans[-1] = spans[-1][0], frame
        else:
            spans.append((frame, frame))
    return spans


def _check(every_seconds: float, top_k: int, batch_size: int) -> None:
    if not 0.0 < every_seconds < math.inf:
        raise ValueError(f"every_seconds={every_seconds} must be a positive number")
    for name, value in (("top_k", top_k), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}={value} must be 1 or more")


def _check_spans(threshold: float, gap_seconds: float | None) -> None:
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold={threshold} must be from 0 to 1")
    if gap_seconds is not None and not gap_seconds >= 0.0:
        raise ValueError(f"gap_seconds={gap_seconds} must be 0 or more")
