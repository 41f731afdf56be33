# SPDX-License-Identifier: MIT
"""A classifier of a few thousand parameters in a self-describing file, for tests of what users touch."""

from __future__ import annotations

from pathlib import Path

import torch

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import InternImageConfig
from intern25.data.class_names import ClassNames
from intern25.data.preprocessing import Preprocessing
from intern25.weights.files import save_model

SMALL = InternImageConfig(channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8))
CLASSES = ClassNames(
    en=("cat", "dog", "red panda", "bus", "tea", "kite"), zh=("猫", "狗", "小熊猫", "公交车", "茶", "风筝")
)
IMAGE_SIZE = 48


def small_classifier() -> InternImageClassifier:
    """Random weights, the same in every process, with logits that differ between pictures."""
    torch.manual_seed(0)
    model = InternImageClassifier(SMALL, len(CLASSES))
    with torch.no_grad():
        model.classifier.weight.normal_(std=3.0)  # type: ignore[union-attr, operator]
    return model.eval()


def save_small_model(path: Path) -> Path:
    """Write the classifier with its class names and preprocessing."""
    save_model(path, small_classifier(), classes=CLASSES, preprocessing=Preprocessing(IMAGE_SIZE))
    return path
