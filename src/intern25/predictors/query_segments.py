# SPDX-License-Identifier: MIT
"""Instances and panoptic segments of pictures, from a segmenter with queries: Mask2Former."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.data.palettes import Palette
from intern25.data.resizing import SegmentationPreprocessing, Size
from intern25.predictors.inputs import DAMAGED, Picture, same_size_batches
from intern25.results import Detections, PanopticMap
from intern25.segmentation import panoptic
from intern25.segmentation.mask2former_decoder import QueryPredictions
from intern25.segmentation.panoptic import PanopticSegments

# A query has the probability 0 of names that are not its own; such pairs only fill the list.
_LEAST_SCORE = float(np.finfo(np.float32).tiny)


@runtime_checkable
class QueryModel(Protocol):
    """A segmenter whose queries each say one class and one mask."""

    def predict_queries(self, images: Tensor) -> QueryPredictions:
        """Return classes and masks of the queries."""


def query_model(model: nn.Module) -> QueryModel:
    """Return ``model`` if it has queries.

    Raises:
        ValueError: It has none.
    """
    if not isinstance(model, QueryModel):
        raise ValueError(
            f"a {type(model).__name__} names the class of each pixel, it cannot tell objects apart; for "
            "instances and panoptic segments take a Mask2Former: mask2former_... of 'intern25 info'"
        )
    return model


class _Batch(NamedTuple):
    rows: list[int]
    """Numbers of the pictures."""
    sizes: list[Size]
    """Their sizes."""
    input_size: Size
    queries: QueryPredictions


class QuerySegments:
    """Looks at pictures whole, also where semantic segmentation slides a window: queries see no further.

    Args:
        model: With queries, in evaluation mode.
        preprocessing: From a picture to the model's input.
        device: Where the model is.
    """

    def __init__(
        self, model: QueryModel, preprocessing: SegmentationPreprocessing, device: torch.device
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.device = device

    def instances(
        self,
        pictures: Sequence[Image.Image],
        *,
        things: Collection[int],
        threshold: float,
        max_instances: int,
        output_sizes: Sequence[Size] | None = None,
    ) -> list[Detections]:
        """Return the objects of upright RGB pictures, best first, without names.

        Args:
            pictures: They go through the model at once, or in as many calls as their inputs have sizes.
            things: Classes that are objects.
            threshold: Smallest score; objects of score 0 are none.
            max_instances: Pairs of query and class that are looked at in each picture.
            output_sizes: Height and width that boxes and masks refer to; None for those of the pictures.

        Raises:
            ValueError: The model returns NaN or infinite values.
        """
        results: dict[int, Detections] = {}
        for batch in self._batches(pictures):
            sizes = batch.sizes if output_sizes is None else [output_sizes[row] for row in batch.rows]
            found = panoptic.instances(
                *batch.queries,
                input_size=batch.input_size,
                original_sizes=sizes,
                things=things,
                max_instances=max_instances,
                min_score=max(threshold, _LEAST_SCORE),
            )
            results.update(zip(batch.rows, found, strict=True))
        return [results[row] for row in range(len(pictures))]

    def panoptic(
        self, pictures: Sequence[Image.Image], *, things: Collection[int], threshold: float, min_share: float
    ) -> list[PanopticSegments]:
        """Return the segments of upright RGB pictures.

        Args:
            pictures: As for :meth:`instances`.
            things: Classes of which each object is a segment.
            threshold: Class probability that a query needs.
            min_share: Share of its mask that a query must keep.

        Raises:
            ValueError: The model returns NaN or infinite values.
        """
        results: dict[int, PanopticSegments] = {}
        for batch in self._batches(pictures):
            found = panoptic.panoptic(
                *batch.queries,
                things=things,
                input_size=batch.input_size,
                original_sizes=batch.sizes,
                min_score=threshold,
                min_share=min_share,
            )
            results.update(zip(batch.rows, found, strict=True))
        return [results[row] for row in range(len(pictures))]

    def _batches(self, pictures: Sequence[Image.Image]) -> Iterator[_Batch]:
        for rows in same_size_batches(pictures, self.preprocessing.input_size):
            images = torch.stack([self.preprocessing(pictures[row]) for row in rows]).to(self.device)
            with torch.inference_mode():
                queries = self.model.predict_queries(images)
            if not all(torch.isfinite(values).all() for values in queries):
                raise ValueError(DAMAGED)
            sizes = [(pictures[row].height, pictures[row].width) for row in rows]
            yield _Batch(rows, sizes, (images.shape[-2], images.shape[-1]), queries)


def panoptic_map(
    found: PanopticSegments,
    classes: ClassNames,
    palette: Palette,
    picture: Picture,
    wanted: Collection[int] | None,
) -> PanopticMap:
    """Return the segments of ``wanted`` classes, the largest first, with names, colours and their picture.

    Args:
        found: Segments of one picture.
        classes: Names of the model's classes.
        palette: Colour of each class.
        picture: The picture and its path.
        wanted: Class numbers; None for all.
    """
    image, source = picture
    labels = found.labels.cpu().numpy().astype(np.int64)
    everything = PanopticMap(
        ids=found.ids.cpu().numpy(),
        labels=labels,
        scores=found.scores.float().cpu().numpy(),
        is_thing=found.is_thing.cpu().numpy(),
        names_en=tuple(classes.en[label] for label in labels),
        names_zh=tuple(classes.zh[label] for label in labels),
        palette=palette,
        source=source,
        image=image,
    )
    order = np.argsort(-everything.areas, kind="stable")
    if wanted is not None:
        order = order[np.isin(labels[order], list(wanted))]
    return everything.select(order)
