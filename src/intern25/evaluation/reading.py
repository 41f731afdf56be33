# SPDX-License-Identifier: MIT
"""How well written text is read: whole texts, and character by character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingReport:
    """How well written text was read."""

    texts: int
    """Texts that were scored."""
    exact: float
    """Share of texts read without an error, 0..1."""
    exact_ignoring_case: float
    """The same where upper and lower case are one."""
    character_error_rate: float
    """Inserted, deleted and replaced characters of all texts, by the number of true ones; may exceed 1."""

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def score_reading(read: Sequence[str], references: Sequence[str]) -> ReadingReport:
    """Score one reading a text.

    Convention: spaces at the ends do not count, and letter case counts where not said otherwise.

    Args:
        read: What was read.
        references: What is written.

    Returns:
        The report.

    Raises:
        ValueError: There are no texts, the lengths differ, or nothing is written at all.
        ImportError: The evaluation extra is not installed.

    Example:
        >>> score_reading(["EXIT", "stop"], ["EXIT", "Stop"]).as_dict()
        {'texts': 2, 'exact': 0.5, 'exact_ignoring_case': 1.0, 'character_error_rate': 0.125}
    """
    if len(read) != len(references):
        raise ValueError(f"{len(read)} texts were read but {len(references)} are written")
    said, true = [text.strip() for text in read], [text.strip() for text in references]
    if not any(true):
        raise ValueError("nothing is written, so there is nothing to score")
    try:
        import jiwer
    except ImportError as error:
        raise ImportError(
            "scoring read text needs the evaluation extra: pip install 'intern25[eval]'"
        ) from error
    pairs = list(zip(said, true, strict=True))
    return ReadingReport(
        texts=len(pairs),
        exact=sum(a == b for a, b in pairs) / len(pairs),
        exact_ignoring_case=sum(a.casefold() == b.casefold() for a, b in pairs) / len(pairs),
        character_error_rate=float(jiwer.cer(true, said)),
    )
