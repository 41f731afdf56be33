# SPDX-License-Identifier: MIT
"""The three tasks of ``intern25 segment``: how each predicts, and its results as lines of text."""

from __future__ import annotations

import dataclasses
from collections import Counter

from PIL import Image

from intern25.cli.coco_file import CocoFile, CocoPanopticFile
from intern25.cli.found import FoundRun
from intern25.cli.object_lines import object_rows, object_summary
from intern25.cli.segment import SegmentOptions
from intern25.predictors import SegmentationPredictor
from intern25.predictors.query_segments import query_model
from intern25.results import Detections, PanopticMap, SemanticMap

# Classes in the line of a video's frame.
_IN_SUMMARY = 4


def semantic_run(predictor: SegmentationPredictor, options: SegmentOptions) -> FoundRun[SemanticMap]:
    """Return the run that names the class of each pixel."""

    def predict(images: list[Image.Image]) -> list[SemanticMap]:
        return predictor.predict(
            images,
            threshold=options.threshold or 0.0,
            classes=options.classes or None,
            scales=options.scales,
            flip=options.flip,
            tile=options.tile,
        )

    def shares(result: SemanticMap) -> list[tuple[float, str]]:
        """Share of the picture and name of each class there, the largest first."""
        names = result.names(options.language)
        return [(row["share"], names[row["label"]]) for row in result.to_record()["classes"]]

    def summary(result: SemanticMap) -> str:
        largest = shares(result)[:_IN_SUMMARY]
        return ", ".join(f"{name} {share:.0%}" for share, name in largest) or "no class"

    return FoundRun(
        options,
        predict=predict,
        rows=lambda result: [f"{share:>7.1%}  {name}" for share, name in shares(result)],
        summary=summary,
        coco=CocoFile(predictor.classes),
    )


def instance_run(predictor: SegmentationPredictor, options: SegmentOptions) -> FoundRun[Detections]:
    """Return the run that finds each thing with a mask.

    Raises:
        ValueError: The model has no queries.
    """
    query_model(predictor.model)

    def predict(images: list[Image.Image]) -> list[Detections]:
        return predictor.predict_instances(
            images,
            threshold=options.threshold,
            classes=options.classes or None,
            things=options.things or None,
            max_instances=options.max_instances,
            tile=options.tile,
        )

    return FoundRun(
        options,
        predict=predict,
        rows=lambda result: object_rows(result, options.language),
        summary=lambda result: object_summary(result, options.language),
        coco=CocoFile(predictor.classes),
    )


def panoptic_run(predictor: SegmentationPredictor, options: SegmentOptions) -> FoundRun[PanopticMap]:
    """Return the run that divides pictures into things and stuff.

    Raises:
        ValueError: The model has no queries, or nobody has said which classes are things.
    """
    query_model(predictor.model)
    things = options.things or None
    if "coco" in options.save:
        # COCO's form is a list of segments beside a PNG of their ids.
        options = dataclasses.replace(options, save=(*options.save, "masks"))

    def predict(images: list[Image.Image]) -> list[PanopticMap]:
        return predictor.predict_panoptic(
            images, threshold=options.threshold, classes=options.classes or None, things=things
        )

    return FoundRun(
        options,
        predict=predict,
        rows=lambda result: _segment_rows(result, options),
        summary=lambda result: _segment_summary(result, options),
        coco=CocoPanopticFile(predictor.classes, predictor.thing_numbers(things)),
    )


def _segment_rows(result: PanopticMap, options: SegmentOptions) -> list[str]:
    """One line a segment, the largest first: share of the picture, name, score of a thing."""
    shares = result.areas / result.ids.size
    rows = zip(shares.tolist(), result.names(options.language), result.scores, result.is_thing, strict=True)
    lines = [
        f"{share:>7.1%}  {name}" + (f"  ({score:.0%})" if is_thing else "")
        for share, name, score, is_thing in rows
    ]
    return lines or ["  nothing found"]


def _segment_summary(result: PanopticMap, options: SegmentOptions) -> str:
    """Things by number, then stuff by share of the picture."""
    names, shares = result.names(options.language), result.areas / result.ids.size
    things = Counter(name for name, is_thing in zip(names, result.is_thing, strict=True) if is_thing)
    stuff = [f"{names[row]} {shares[row]:.0%}" for row in range(len(result)) if not result.is_thing[row]]
    parts = [f"{name} {count}" for name, count in things.most_common()] + stuff[:_IN_SUMMARY]
    return ", ".join(parts) or "nothing found"
