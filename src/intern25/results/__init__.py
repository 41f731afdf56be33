# SPDX-License-Identifier: MIT
"""What predictors return: small frozen dataclasses of arrays that can draw themselves and write JSON."""

from __future__ import annotations

from intern25.results.classification import Classification
from intern25.results.detections import Detections
from intern25.results.language import Language
from intern25.results.panoptic_map import PanopticMap
from intern25.results.semantic_map import SemanticMap
from intern25.results.text import Alternative, Text

__all__ = [
    "Alternative",
    "Classification",
    "Detections",
    "Language",
    "PanopticMap",
    "SemanticMap",
    "Text",
]
