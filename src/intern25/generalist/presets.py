# SPDX-License-Identifier: MIT
"""Names of the generalist's architectures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from intern25.generalist.config import (
    INTERN25_BASE,
    INTERN25_GIANT,
    INTERN25_HUGE,
    INTERN25_LARGE,
    INTERN25_SMALL,
    INTERN25_TINY,
    GeneralistConfig,
)

GENERALISTS: Mapping[str, GeneralistConfig] = MappingProxyType(
    {
        "intern25_tiny": INTERN25_TINY,
        "intern25_small": INTERN25_SMALL,
        "intern25_base": INTERN25_BASE,
        "intern25_large": INTERN25_LARGE,
        "intern25_huge": INTERN25_HUGE,
        "intern25_giant": INTERN25_GIANT,
    }
)
"""Name to architecture."""
