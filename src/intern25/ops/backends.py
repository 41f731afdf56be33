# SPDX-License-Identifier: MIT
"""What an operator backend says of itself: ready, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BackendName = Literal["auto", "reference", "cpu", "triton"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The backend can run; ``detail`` names the code path it takes."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The backend cannot run, and why."""

    reason: str


Status = Ready | Refusal
