# SPDX-License-Identifier: MIT
"""The detector and the segmenter in the package do on our drawings what they learned on real pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

import intern25
from intern25.defaults import DEFAULT_DETECTOR, DEFAULT_SEGMENTER

IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"


def test_blood_cells() -> None:
    predictor = intern25.load(DEFAULT_DETECTOR)
    found = predictor.predict(IMAGES / "blood_cells.jpg", threshold=0.5)
    counts = Counter(found.names("zh"))
    assert counts["白细胞"] == 1
    assert counts["血小板"] == 3
    assert 16 <= counts["红细胞"] <= 19  # 18 are drawn, some behind others
    chosen = predictor.predict(IMAGES / "blood_cells.jpg", threshold=0.5, classes=["WBC"])
    assert chosen.names() == ("white blood cell",)  # by the data set's own name
    (white,) = found.filter(classes=["white blood cell"]).boxes
    np.testing.assert_allclose((white[:2] + white[2:]) / 2, [290, 247], atol=12)


def test_street() -> None:
    result = intern25.load(DEFAULT_SEGMENTER).predict(IMAGES / "street.jpg")
    names = np.array(result.names_en)[result.labels]
    for name, (row, column) in {
        "sky": (40, 330),
        "building": (90, 20),
        "road": (420, 330),
        "pavement": (420, 615),
        "tree": (190, 110),
        "car": (265, 196),
    }.items():
        assert (names[row - 5 : row + 5, column - 5 : column + 5] == name).mean() > 0.8, name
