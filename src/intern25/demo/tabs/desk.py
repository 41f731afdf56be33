# SPDX-License-Identifier: MIT
"""What all tabs have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intern25.demo.wording import Wording
from intern25.predictors import GeneralistPredictor


@dataclass(frozen=True, slots=True)
class Desk:
    """The model, and the parts of the page beside the tabs."""

    predictor: GeneralistPredictor
    """One model for all tabs."""
    wording: Wording
    """Makes components in both languages."""
    language: Any
    """The switch; its value is a language."""
    picture: Any
    """The uploaded picture; its value is a path."""
