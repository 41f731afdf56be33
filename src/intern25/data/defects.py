# SPDX-License-Identifier: MIT
"""What is wrong with a data set: one row a defect, with the way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong in a data set."""

    file: str
    """Picture or annotation file."""
    problem: str
    """What is wrong."""
    remedy: str
    """What to do about it."""
    row: int | str | None = None
    """Id of the annotation, or line of the file; ``None`` where the whole file is meant."""
    serious: bool = True
    """Whether training refuses the data; other defects are mended or left out by themselves."""

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, annotation {self.row}"
        return f"{where}: {self.problem}; {self.remedy}"


def refuse(where: str, defects: Sequence[Defect]) -> None:
    """Raise where there is a serious defect.

    Raises:
        ValueError: The message shows the first rows.
    """
    serious = [defect for defect in defects if defect.serious]
    if serious:
        rows = "\n".join(f"  {defect}" for defect in serious[:_SHOWN])
        raise ValueError(
            f"{where} has {len(serious)} defect{'s' if len(serious) > 1 else ''}; mend them, or use skip_bad "
            f"(--skip-bad) to go on without these pictures and annotations. The first:\n{rows}"
        )
