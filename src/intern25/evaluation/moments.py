# SPDX-License-Identifier: MIT
"""Whether the moments that are found in videos are the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

Span = tuple[float, float]
"""Start and end, seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MomentReport:
    """How often a right moment is among the best ones; shares lie in 0..1."""

    queries: int
    """Pairs of a text and a video."""
    at1: float
    """Share of queries whose best moment is right."""
    at5: float
    """Share of queries with a right one among the best five."""
    mean_iou: float
    """Overlap of the best moment with the right one, mean over queries."""
    whole_at1: float
    """``at1`` of always giving the whole video."""
    whole_iou: float
    """``mean_iou`` of always giving the whole video."""

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def temporal_iou(first: Span, second: Span) -> float:
    r"""Return :math:`|A \cap B| / |A \cup B|` of two spans of time, 0 where both are empty.

    Example:
        >>> temporal_iou((0.0, 4.0), (2.0, 6.0))
        0.3333333333333333
    """
    shared = max(0.0, min(first[1], second[1]) - max(first[0], second[0]))
    union = (first[1] - first[0]) + (second[1] - second[0]) - shared
    return shared / union if union > 0.0 else 0.0


def moment_recall(
    found: Sequence[Sequence[Span]],
    right: Sequence[Sequence[Span]],
    durations: Sequence[float],
    *,
    iou: float = 0.5,
) -> MomentReport:
    r"""Score the moments found for each query.

    .. math:: R@k = \frac1Q \sum_q \big[\max_{i \le k,\, j} \mathrm{IoU}(f_{qi}, r_{qj}) \ge m\big]

    Args:
        found: For each of ``Q`` queries its moments, the best first; maybe none.
        right: For each query one or more right moments, of which any may be found.
        durations: Length of each query's video, seconds.
        iou: Smallest overlap ``m`` of a right one.

    Returns:
        The report.

    Raises:
        ValueError: There are no queries, the lengths differ, a query has no right moment, a span ends before
            it begins, or ``iou`` is no share above 0.

    Source:
        R@k, IoU=m as in TALL, arXiv:1705.02101.
    """
    _check(found, right, durations, iou)
    overlaps = [
        [max(temporal_iou(span, wanted) for wanted in wanteds) for span in spans]
        for spans, wanteds in zip(found, right, strict=True)
    ]
    whole = [
        max(temporal_iou((0.0, duration), wanted) for wanted in wanteds)
        for duration, wanteds in zip(durations, right, strict=True)
    ]
    count = len(overlaps)
    return MomentReport(
        queries=count,
        at1=sum(max(row[:1], default=0.0) >= iou for row in overlaps) / count,
        at5=sum(max(row[:5], default=0.0) >= iou for row in overlaps) / count,
        mean_iou=sum(max(row[:1], default=0.0) for row in overlaps) / count,
        whole_at1=sum(overlap >= iou for overlap in whole) / count,
        whole_iou=sum(whole) / count,
    )


def _check(
    found: Sequence[Sequence[Span]],
    right: Sequence[Sequence[Span]],
    durations: Sequence[float],
    iou: float,
) -> None:
    if not len(found) == len(right) == len(durations):
        raise ValueError(
            f"{len(found)} lists of found moments, {len(right)} of right ones, {len(durations)} durations"
        )
    if not found:
        raise ValueError("there are no queries to score")
    if not 0.0 < iou <= 1.0:
        raise ValueError(f"iou={iou} must be above 0 and at most 1")
    for number, wanteds in enumerate(right):
        if not wanteds:
            raise ValueError(f"query {number} has no right moment; leave it out")
    for start, end in (span for spans in (*found, *right) for span in spans):
        if not start <= end:
            raise ValueError(f"the moment ({start}, {end}) ends before it begins")
