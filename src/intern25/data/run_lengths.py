# SPDX-License-Identifier: MIT
"""COCO's run lengths of masks, in plain NumPy: what its annotation and result files call ``segmentation``.

What is special: both forms are read, ``counts`` as a list of numbers and as the compressed text, and the text
written is, byte for byte, that of COCO's own tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def encode_mask(mask: NDArray[np.generic]) -> dict[str, Any]:
    """Return ``{"size": [height, width], "counts": text}`` of a mask ``(H, W)``.

    Convention:
        - pixels run down the columns, left to right; the runs are off, on, off, ... and the first may be 0.
        - text: each number as 5-bit groups, lowest first, plus 48; from the fourth on the difference to the
          number two before.

    Raises:
        ValueError: ``mask`` is not two-dimensional.

    Example:
        >>> encode_mask(np.array([[0, 1], [1, 1]], dtype=bool))
        {'size': [2, 2], 'counts': '13'}
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask must be (H, W), got {mask.shape}")
    return {"size": list(mask.shape), "counts": compress_runs(run_lengths(mask))}


def run_lengths(mask: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the lengths of the runs off, on, off, ... down the columns of ``mask`` ``(H, W)``."""
    pixels = np.asarray(mask).astype(bool).ravel(order="F")
    if pixels.size == 0:
        return np.zeros(1 if mask.ndim else 0, dtype=np.int64)
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    # Runs start with "off": a mask whose first pixel is on begins with a run of length 0.
    edges = np.concatenate([[0], [0] if pixels[0] else [], changes, [pixels.size]]).astype(np.int64)
    return np.diff(edges)


def decode_mask(encoded: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the mask ``(H, W)`` of ``{"size", "counts"}``, its counts a list, text or bytes.

    Raises:
        ValueError: The runs do not fill the size, or the text is damaged.
    """
    height, width = (int(side) for side in encoded["size"])
    counts = encoded["counts"]
    runs = expand_runs(counts) if isinstance(counts, str | bytes) else np.asarray(counts, dtype=np.int64)
    if runs.sum() != height * width or (runs < 0).any():
        raise ValueError(f"runs of {int(runs.sum())} pixels do not fill a mask of {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def compress_runs(runs: NDArray[np.int64]) -> str:
    """Return the compressed text of run lengths."""
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    text = bytearray()
    for number in numbers.tolist():
        more = True
        while more:
            group = number & 31
            number >>= 5
            # The last group's top bit is the sign.
            more = number != (-1 if group & 16 else 0)
            text.append(48 + (group | 32 if more else group))
    return text.decode("ascii")


def expand_runs(text: str | bytes) -> NDArray[np.int64]:
    """Return the run lengths of compressed text.

    Raises:
        ValueError: A character does not belong there, or the last number is cut off.
    """
    data: Sequence[int] = text.encode("ascii") if isinstance(text, str) else text
    runs: list[int] = []
    number, shift = 0, 0
    for byte in data:
        group = byte - 48
        if not 0 <= group < 64:
            raise ValueError(f"run lengths hold the character {chr(byte)!r}, which does not belong there")
        number |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            number -= 1 << shift
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        number, shift = 0, 0
    if shift:
        raise ValueError("run lengths end in the middle of a number")
    return np.array(runs, dtype=np.int64)
