# SPDX-License-Identifier: MIT
"""Objects and regions of a picture: drawn onto it, and as a table."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from PIL import Image

from intern25.demo.inputs import opened, split_names
from intern25.demo.texts import Texts
from intern25.predictors import GeneralistPredictor
from intern25.results import Detections, PanopticMap, SemanticMap

Mode = Literal["detect", "semantic", "instance", "panoptic"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Boxes with masks, a name a pixel, masks of objects, or things and stuff."""


class Found(NamedTuple):
    """What is shown of a result."""

    drawing: Image.Image
    """The picture with what was found on it."""
    headers: list[str]
    """Columns of the table."""
    rows: list[list[str]]
    """A line for each object, class or segment, the best or largest first."""
    summary: str
    """How many there are, or what to do where there are none."""


def find(
    predictor: GeneralistPredictor,
    path: str | None,
    names: str | None,
    mode: Mode,
    threshold: float,
    texts: Texts,
) -> Found:
    """Find what the names say.

    Args:
        predictor: The model.
        path: The uploaded file.
        names: Names between commas; without one those of the model.
        mode: What is looked for.
        threshold: Smallest score of an object or segment, or probability of a pixel's name, 0 to 1.
        texts: Words of the page.

    Raises:
        ValueError: There is no picture, the pixels have one name to choose from, or an input is out of range.
    """
    picture, classes = opened(path, texts), split_names(names, texts)
    if mode == "detect":
        return _objects(predictor.detect(picture, classes, threshold=threshold), threshold, texts)
    if mode == "semantic" and classes is not None and len(classes) < 2:
        raise ValueError(texts.two_names)
    result = predictor.segment(picture, classes, task=mode, threshold=threshold)
    assert not isinstance(result, list), "one picture has one result"
    if isinstance(result, Detections):
        return _objects(result, threshold, texts)
    if isinstance(result, SemanticMap):
        return _pixels(result, threshold, texts)
    return _segments(result, threshold, texts)


def usual_threshold(predictor: GeneralistPredictor, mode: Mode) -> float:
    """Return the threshold that the model itself takes."""
    settings = predictor.settings
    if mode == "semantic":
        return 0.0
    return settings.panoptic_threshold if mode == "panoptic" else settings.detect_threshold


def _objects(result: Detections, threshold: float, texts: Texts) -> Found:
    rows = [
        [name, f"{score:.2f}", _box(box)]
        for name, score, box in zip(
            result.names(texts.language), result.scores.tolist(), result.boxes.tolist(), strict=True
        )
    ]
    headers = [texts.name, texts.score, texts.box]
    return Found(result.draw(language=texts.language), headers, rows, _summary(rows, threshold, texts))


def _pixels(result: SemanticMap, threshold: float, texts: Texts) -> Found:
    names = result.names(texts.language)
    rows = [[names[label], f"{(result.labels == label).mean():.1%}"] for label in result.present]
    headers = [texts.name, texts.share]
    return Found(result.draw(language=texts.language), headers, rows, _summary(rows, threshold, texts))


def _segments(result: PanopticMap, threshold: float, texts: Texts) -> Found:
    columns = (
        result.names(texts.language),
        result.scores.tolist(),
        result.areas.tolist(),
        result.boxes.tolist(),
    )
    rows = [
        [name, f"{score:.2f}", f"{area / result.ids.size:.1%}", _box(box)]
        for name, score, area, box in zip(*columns, strict=True)
    ]
    headers = [texts.name, texts.score, texts.share, texts.box]
    return Found(result.draw(language=texts.language), headers, rows, _summary(rows, threshold, texts))


def _summary(rows: list[list[str]], threshold: float, texts: Texts) -> str:
    if not rows:
        return texts.nothing_found.format(least=f"{threshold:.2f}")
    return texts.found.format(count=len(rows))


def _box(sides: list[float]) -> str:
    return ", ".join(f"{side:.0f}" for side in sides)
