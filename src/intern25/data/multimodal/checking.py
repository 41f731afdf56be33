# SPDX-License-Identifier: MIT
"""Find pictures that cannot be read before training starts; rows of texts are checked where they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from intern25.data.decoding import ImageDecodingError
from intern25.data.defects import Defect, refuse
from intern25.data.multimodal.pictures import AnnotatedPictures

T = TypeVar("T")


def without_defects(
    pictures: AnnotatedPictures[T], *, skip_bad: bool, threads: int = 2
) -> tuple[AnnotatedPictures[T], list[Defect]]:
    """Check that every picture decodes and leave out those that do not.

    Args:
        pictures: Pictures of one split.
        skip_bad: Leave bad pictures out instead of raising.
        threads: Pictures decoded at the same time.

    Returns:
        The usable pictures, and all defects, those of the rows included.

    Raises:
        ValueError: There are defects and ``skip_bad`` is false, or no picture is left.
    """

    def finding(index: int) -> Defect | None:
        name = pictures.names[index]
        try:
            pictures.image(index)
        except ImageDecodingError as error:
            problem = f"it cannot be read: {str(error).removeprefix(f'{name}: ')}"
            return Defect(name, problem, "copy it again or remove its rows")
        return None

    with ThreadPoolExecutor(threads) as pool:
        findings = list(pool.map(finding, range(len(pictures))))
    defects = [*pictures.defects, *(row for row in findings if row is not None)]
    if not skip_bad:
        refuse(pictures.where, defects)
    kept = [index for index, row in enumerate(findings) if row is None]
    if not kept:
        raise ValueError(
            f"none of the {len(pictures)} pictures of {pictures.where} can be used; {defects[0]}"
        )
    return replace(pictures.select(kept), defects=()), defects
