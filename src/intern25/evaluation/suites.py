# SPDX-License-Identifier: MIT
"""Every suite of whole models by the name in its result files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from intern25.evaluation.classifier_suite import CLASSIFIERS
from intern25.evaluation.detector_suite import DETECTORS
from intern25.evaluation.model_suite import ModelSuite
from intern25.evaluation.segmenter_suite import SEGMENTERS

SUITES: Mapping[str, ModelSuite] = MappingProxyType(
    {suite.name: suite for suite in (CLASSIFIERS, DETECTORS, SEGMENTERS)}
)
"""Name to suite."""
