# SPDX-License-Identifier: MIT
"""Predictors: a model with its preprocessing and class names, from any picture to a result in one call."""

from __future__ import annotations

from intern25.defaults import DEFAULT_CLASSIFIER as DEFAULT_MODEL
from intern25.predictors.classification import ClassificationPredictor
from intern25.predictors.detection import DetectionPredictor
from intern25.predictors.generalist import GeneralistPredictor
from intern25.predictors.loading import Predictor, load, load_as
from intern25.predictors.segmentation import SegmentationPredictor

__all__ = [
    "DEFAULT_MODEL",
    "ClassificationPredictor",
    "DetectionPredictor",
    "GeneralistPredictor",
    "Predictor",
    "SegmentationPredictor",
    "load",
    "load_as",
]
