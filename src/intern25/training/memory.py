# SPDX-License-Identifier: MIT
"""Keeps freed memory in the process, so that the tensors of the next update need no new pages."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_MAX`` of glibc's ``mallopt``."""
_MOST_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc not to hand large blocks back to the system at every free, for the rest of the process.

    Every update frees and allocates the same tensors. Fetching their pages anew took half of the time of a
    teacher's forward pass on a batch of 64 images of 128 pixels. The process keeps its peak memory instead.

    Returns:
        Whether the C library has such a setting.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _MOST_BYTES))
