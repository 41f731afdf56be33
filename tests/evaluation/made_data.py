"""Annotated pictures and imperfect predictions of them, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from intern25.data.detection.annotations import Annotation
from intern25.data.run_lengths import encode_mask
from intern25.evaluation.predictions import Prediction

SIZE = (140, 180)
CLASSES = ("bird", "boat", "cup", "kite")


def ellipse(box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels of the ellipse inside a box."""
    left, top, right, bottom = box
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    return np.asarray(((2 * x - left - right) / width) ** 2 + ((2 * y - top - bottom) / height) ** 2 <= 1)


def random_boxes(generator: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Boxes of 6 to 126 pixels, so that small, medium and large objects occur."""
    sides = np.exp(generator.uniform(np.log(6), np.log(126), (number, 2)))
    corner = generator.uniform(0, 1, (number, 2)) * (np.array(SIZE[::-1]) - sides).clip(1)
    return np.concatenate((corner, corner + sides), axis=1).round(1)


def picture(seed: int, *, crowds: bool = True) -> tuple[Annotation, Prediction]:
    """One picture: some objects are found, moved a little, some mistaken, some invented, some missed."""
    generator = np.random.default_rng(seed)
    number = int(generator.integers(0, 9))
    boxes = random_boxes(generator, number)
    labels = generator.integers(0, len(CLASSES) - 1, number)  # the last class never occurs
    masks = tuple(encode_mask(ellipse(box)) for box in boxes)
    annotation = Annotation(
        boxes=boxes.astype(np.float32),
        labels=labels.astype(np.int64),
        size=SIZE,
        masks=masks or None,  # type: ignore[arg-type]
        crowd=(generator.random(number) < 0.15) & crowds,
        difficult=np.zeros(number, dtype=np.bool_),
        areas=np.array([ellipse(box).sum() for box in boxes], dtype=np.float32),
        ids=tuple(range(number)),
    )
    found = np.flatnonzero(generator.random(number) < 0.8)
    moved = np.concatenate((boxes[found], boxes[found[::2]])) + generator.normal(
        0, 4, (len(found) + len(found[::2]), 4)
    )
    invented = random_boxes(generator, int(generator.integers(0, 4)))
    everything = np.concatenate((moved, invented))
    everything[:, 2:] = np.maximum(everything[:, 2:], everything[:, :2] + 2)
    guessed = np.concatenate((labels[found], labels[found[::2]], generator.integers(0, 4, len(invented))))
    mistaken = generator.random(len(guessed)) < 0.1
    guessed[mistaken] = generator.integers(0, len(CLASSES), mistaken.sum())
    scores = np.sort(generator.random(len(everything)).round(3))[::-1]
    order = generator.permutation(len(everything))
    prediction = Prediction(
        boxes=everything[order].round(1),
        scores=scores.astype(np.float64),
        labels=guessed[order].astype(np.int64),
        masks=tuple(encode_mask(ellipse(box)) for box in everything[order]),
    )
    return annotation, prediction


def pictures(number: int, *, seed: int = 0, crowds: bool = True) -> tuple[list[Annotation], list[Prediction]]:
    """Several pictures."""
    pairs = [picture(1000 * seed + index, crowds=crowds) for index in range(number)]
    return [annotation for annotation, _ in pairs], [prediction for _, prediction in pairs]


def nothing_found(predictions: list[Prediction]) -> list[Prediction]:
    """The same pictures with empty predictions."""
    return [prediction.best(0) for prediction in predictions]


def without_masks(prediction: Prediction) -> Prediction:
    """Boxes only."""
    return replace(prediction, masks=None)
