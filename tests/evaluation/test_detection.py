# SPDX-License-Identifier: MIT
"""What cannot be scored is said before the detector looks at the first picture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.sources import read_detection
from intern25.evaluation.detection import evaluate_detection
from tests.color_models import CLASSES, DETECTION, ColorDetector
from tests.data.made_files import coco_document, coco_files, write_files


@pytest.fixture
def images(tmp_path: Path) -> StoredDetectionImages:
    """Two pictures with objects of the colour detector's classes."""
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES.en, start=1)]
    rows = [{**row, "category_id": 1} for row in coco_document()["annotations"]]
    document = coco_document(categories=categories, annotations=rows)
    return read_detection(write_files(tmp_path, coco_files(document)))


@pytest.mark.parametrize("metric", ["lvis", "map"])
def test_an_unfit_metric_costs_no_inference(images: StoredDetectionImages, metric: str) -> None:
    model = ColorDetector()
    with pytest.raises(ValueError, match=f"metric='{metric}'"):
        evaluate_detection(model, images, DETECTION, metric=metric)  # type: ignore[arg-type]
    assert not model.batches


def test_a_missing_extra_costs_no_inference(
    images: StoredDetectionImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    model = ColorDetector()
    with pytest.raises(ImportError, match=r"pip install 'intern25\[eval\]'"):
        evaluate_detection(model, images, DETECTION)
    assert not model.batches
