# SPDX-License-Identifier: MIT
"""The small generalist as users have it: with settings for small pictures, as a predictor or in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.generalist_settings import SETTINGS as ENTRY
from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.generalist.files import save_generalist
from intern25.generalist.tokenizer import Tokenizer
from intern25.predictors import GeneralistPredictor
from tests.small_generalist import small_generalist

SETTINGS = GeneralistSettings(
    classify_size=48,
    caption_size=(32, 64),
    ask_sizes=((64, 64),),
    read_size=(32, 96),
    embed_size=(64, 32),
    detection=DetectionPreprocessing(long_side=96, short_side=64),
    segmentation=SegmentationPreprocessing(long_side=96, short_side=64),
    regions=3,
    caption_length=6,
    answer_length=5,
    read_length=4,
    classify_names=ClassNames(en=("cat", "dog", "bus"), zh=("猫", "狗", "公交车")),
    detect_names=ClassNames(en=("person", "bicycle"), zh=("人", "自行车")),
    segment_names=ClassNames(en=("sky", "road", "car"), zh=("天空", "道路", "汽车")),
)


def used_generalist(*, batch_size: int = 3) -> GeneralistPredictor:
    """A predictor of random weights, the same in every process."""
    return GeneralistPredictor(small_generalist(), Tokenizer.packaged(), SETTINGS, batch_size=batch_size)


def save_used_generalist(path: Path, *, damaged: bool = False) -> Path:
    """Write the same to a file; a damaged one computes NaN."""
    model = small_generalist()
    if damaged:
        with torch.no_grad():
            next(model.backbone.parameters()).fill_(float("nan"))
    save_generalist(path, model, extra={ENTRY: SETTINGS.to_json()})
    return path


def pictures() -> list[Image.Image]:
    """Five noisy pictures of different colours and sizes."""
    draw = np.random.default_rng(0)
    sizes = ((40, 60), (64, 64), (90, 50), (33, 120), (40, 60))
    return [
        Image.fromarray(draw.integers(0, 60 + 48 * k, (*size, 3), dtype=np.uint8))
        for k, size in enumerate(sizes)
    ]
