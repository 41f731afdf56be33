# SPDX-License-Identifier: MIT
"""Drawing of results onto pictures, in English and, when the system has a font for it, Chinese."""

from __future__ import annotations

from intern25.drawing.classification import draw_classification
from intern25.drawing.detections import draw_detections
from intern25.drawing.fonts import find_chinese_font
from intern25.drawing.panoptic_map import draw_panoptic_map
from intern25.drawing.semantic_map import draw_semantic_map
from intern25.drawing.text import draw_text

__all__ = [
    "draw_classification",
    "draw_detections",
    "draw_panoptic_map",
    "draw_semantic_map",
    "draw_text",
    "find_chinese_font",
]
