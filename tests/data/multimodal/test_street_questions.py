"""Questions about street scenes, answered again from the pixels of the masks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from intern25.data.class_names import ClassNames, class_names
from intern25.data.multimodal.street_questions import part_shares, street_questions
from tests.data.multimodal.answering import answer_about_street


class Streets:
    """Made scenes of 60 x 90: sky above road, with boxes of other classes."""

    def __init__(self, count: int, classes: ClassNames | None = None) -> None:
        self.classes = classes or class_names("camvid")
        generator = np.random.default_rng(0)
        self.masks = []
        for _ in range(count):
            mask = np.zeros((60, 90), dtype=np.uint8)
            mask[25:] = 3
            for _ in range(int(generator.integers(0, 5))):
                top, left = int(generator.integers(10, 50)), int(generator.integers(0, 80))
                height, width = (int(size) for size in generator.integers(1, 25, 2))
                mask[top : top + height, left : left + width] = generator.choice([1, 4, 5, 7, 8, 9, 10, 255])
            self.masks.append(mask)

    def __len__(self) -> int:
        return len(self.masks)

    def name(self, index: int) -> str:
        return str(index)

    def size(self, index: int) -> tuple[int, int]:
        return (60, 90)

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (90, 60))

    def mask(self, index: int) -> np.ndarray:
        return self.masks[index]


def test_questions_are_answered_alike_by_looking_at_the_pixels() -> None:
    streets = Streets(200)
    drawn = street_questions(streets, count=6)
    kinds: Counter[str] = Counter()
    yes: dict[str, list[bool]] = {}
    for epoch in range(3):
        for index in range(len(drawn)):
            for question in drawn.at_epoch(epoch).items(index):
                right = answer_about_street(question.text, streets.masks[index], streets.classes)
                assert set(question.answers) & right, (question, right)
                kinds[question.kind] += 1
                if question.kind in ("presence", "aside", "clear"):
                    yes.setdefault(question.kind, []).append(question.answers[0] in ("yes", "有", "是"))
    assert set(kinds) == {"presence", "aside", "clear", "ahead", "share", "ground"}
    shares = {kind: np.mean(answers) for kind, answers in yes.items()}
    assert 0.4 < shares["presence"] < 0.6
    assert 0.4 < shares["aside"] < 0.6
    assert 0.3 < shares["clear"] < 0.7  # few scenes are blocked


def test_shares_of_parts() -> None:
    mask = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], dtype=np.uint8), (40, 61))
    shares = part_shares(mask, 3)
    parts = (mask, mask[:, :30], mask[:, 30:], mask[20:38, 20:41], mask[32:, 20:41])
    for row, part in zip(shares, parts, strict=True):
        np.testing.assert_allclose(row, [np.mean(part == label) for label in range(3)])


def test_other_classes_are_refused() -> None:
    with pytest.raises(
        ValueError, match="are not those of a street: road, car, pedestrian, bicyclist missing"
    ):
        street_questions(Streets(1, ClassNames.from_lists(["cat", "dog"])))
