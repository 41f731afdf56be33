# SPDX-License-Identifier: MIT
"""From pictures to the class of each pixel and, where the model has queries, to things and stuff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.distinct_colors import Color
from intern25.data.images import ImageSource
from intern25.data.palettes import palette_of
from intern25.data.resizing import SegmentationPreprocessing
from intern25.data.tiling import certainty, tile_side, tiles
from intern25.predictors.inputs import (
    DAMAGED,
    USUAL_THRESHOLD,
    Picture,
    check_batch_size,
    check_classes,
    check_threshold,
    class_numbers,
    device_of,
    predict_each,
    same_size_batches,
    thing_numbers,
)
from intern25.predictors.query_segments import QuerySegments, panoptic_map, query_model
from intern25.predictors.selection import Selection
from intern25.predictors.tiled_detection import find_objects, with_names
from intern25.results import Detections, PanopticMap, SemanticMap
from intern25.results.semantic_map import unlabelled
from intern25.segmentation.inference import LabelMap, check_scales, label_maps
from intern25.segmentation.segmenter import Segmenter

Labels = NDArray[Any]
"""uint8, or int32 for a model with more than 255 classes."""
Scores = NDArray[np.float32]
_Label = Callable[[Sequence[Image.Image]], list[tuple[Labels, Scores]]]


class SegmentationPredictor:
    """Names the class of each pixel; with a Mask2Former it also finds instances and panoptic segments.

    A picture's result does not depend on the pictures it is given with: only inputs of one size share a
    batch.

    Args:
        model: A segmenter; put into evaluation mode.
        preprocessing: From a picture to the model's input, and how the model is run on it.
        classes: Names of the classes.
        palette: Colour of each class; None for those of the data set with these names, else distinct ones.
        things: Names of the classes that can be counted; None for those known of the data set.
        instance_threshold: Score that an object needs where none is asked for.
        panoptic_threshold: Class probability that a panoptic segment needs.
        batch_size: Pictures that go through the model at once.
        device: Where the model is; None takes that of its parameters.

    Raises:
        ValueError: Names, colours and classes of the model differ in number, or ``batch_size`` is below 1.

    Example:
        >>> predictor = intern25.load("upernet_internimage_t_512_160k_ade20k")  # doctest: +SKIP
        >>> predictor.predict("room.jpg").draw(language="both")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Segmenter,
        preprocessing: SegmentationPreprocessing,
        classes: ClassNames,
        *,
        palette: Sequence[Color] | None = None,
        things: Sequence[str] | None = None,
        instance_threshold: float = USUAL_THRESHOLD,
        panoptic_threshold: float = 0.8,
        batch_size: int = 8,
        device: torch.device | None = None,
    ) -> None:
        check_classes(model, classes)
        if palette is not None and len(palette) != len(classes):
            raise ValueError(f"{len(palette)} colours for {len(classes)} classes")
        self.model = model.eval()
        self.preprocessing = preprocessing
        self.classes = classes
        self.palette = tuple(palette or palette_of(classes))
        self.things = None if things is None else tuple(things)
        self.instance_threshold = check_threshold(instance_threshold, name="instance_threshold")
        self.panoptic_threshold = check_threshold(panoptic_threshold, name="panoptic_threshold")
        self.batch_size = check_batch_size(batch_size)
        self.device = device_of(model, device)

    # A str is also a sequence of str; the first matching signature wins, as in the body.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        *,
        threshold: float = 0.0,
        classes: Sequence[str] | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> SemanticMap: ...

    @overload
    def predict(
        self,
        images: Sequence[ImageSource],
        *,
        threshold: float = 0.0,
        classes: Sequence[str] | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> list[SemanticMap]: ...

    def predict(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        threshold: float = 0.0,
        classes: Sequence[str] | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> SemanticMap | list[SemanticMap]:
        """Name the class of each pixel of one picture, or of each of a list.

        Args:
            images: Whatever :func:`intern25.data.images.read_image` reads - path, PIL image, ``(H, W, C)``
                uint8 array, ``(C, H, W)`` tensor - or a list or tuple of them, also mixed.
            threshold: Pixels whose class is less probable stay without class, 0 to 1.
            classes: Names of the wanted classes in either language, other pixels stay without class; None for
                all.
            scales: Sizes at which each picture or tile is seen, 1 = that of the model; scores are averaged.
            flip: Also see it mirrored.
            tile: Look at the picture in overlapping tiles of so many pixels; 0 never; None does so for
                pictures above 5000 pixels.
            batch_size: Pictures or tiles at once; None takes the predictor's.

        Returns:
            One result for one picture, a list for a list (also of one or none).

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: A class is unknown, a number is out of range, or the model returns NaN.
        """
        check_threshold(threshold)
        label = partial(self.label, scales=check_scales(scales), flip=flip)
        wanted = class_numbers(classes, self.classes)
        size = self.batch_size if batch_size is None else check_batch_size(batch_size)

        def predict(pictures: Sequence[Picture]) -> list[SemanticMap]:
            maps = self._predict_batch([picture for picture, _ in pictures], label, tile, size)
            return [
                self._result(picture, *self._selected(*found, threshold, wanted))
                for picture, found in zip(pictures, maps, strict=True)
            ]

        return predict_each(images, size, predict)

    @overload
    def predict_instances(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        max_instances: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> Detections: ...

    @overload
    def predict_instances(
        self,
        images: Sequence[ImageSource],
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        max_instances: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> list[Detections]: ...

    def predict_instances(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        max_instances: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> Detections | list[Detections]:
        """Find the objects of one picture, or of each of a list, with a mask each.

        Convention:
            - the picture is looked at whole, also where :meth:`predict` slides a window.
            - masks may overlap, and one place may be found as two classes, each with its score.

        Args:
            images: As for :meth:`predict`.
            threshold: Smallest score, 0 to 1: probability of the class times mean probability of the mask;
                None for the predictor's.
            classes: Names of the wanted classes in either language; None for all things.
            things: Names of the classes that are objects, in either language; None for the predictor's, else
                those that are known to be of the data set with these classes.
            max_instances: Most objects of one picture.
            tile: As for :meth:`predict`; an object across a border of tiles is joined.
            batch_size: Pictures or tiles at once; None takes the predictor's.

        Returns:
            One result for one picture, a list for a list (also of one or none).

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: The model has no queries, nobody has said which of its classes are things, a class is
                unknown or no thing, a number is out of range, or the model returns NaN.
        """
        model = query_model(self.model)
        threshold = self.instance_threshold if threshold is None else check_threshold(threshold)
        if max_instances < 1:
            raise ValueError(f"max_instances={max_instances} must be 1 or more")
        counted = self._counted(self.thing_numbers(things), class_numbers(classes, self.classes))
        find = partial(
            QuerySegments(model, self.preprocessing, self.device).instances,
            things=counted,
            threshold=threshold,
            max_instances=max_instances,
        )
        wanted = Selection(threshold, None, max_instances)
        size = self.batch_size if batch_size is None else check_batch_size(batch_size)

        def predict(pictures: Sequence[Picture]) -> list[Detections]:
            whole = [picture for picture, _ in pictures]
            found = find_objects(find, self.preprocessing, whole, wanted, tile, size)
            return [
                with_names(one, self.classes, picture) for one, picture in zip(found, pictures, strict=True)
            ]

        return predict_each(images, size, predict)

    @overload
    def predict_panoptic(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        *,
        threshold: float | None = None,
        min_share: float = 0.8,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> PanopticMap: ...

    @overload
    def predict_panoptic(
        self,
        images: Sequence[ImageSource],
        *,
        threshold: float | None = None,
        min_share: float = 0.8,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> list[PanopticMap]: ...

    def predict_panoptic(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        threshold: float | None = None,
        min_share: float = 0.8,
        classes: Sequence[str] | None = None,
        things: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> PanopticMap | list[PanopticMap]:
        """Divide one picture, or each of a list, into things and stuff that share no pixel.

        Convention:
            - the picture is looked at whole, also where :meth:`predict` slides a window or tiles.

        Args:
            images: As for :meth:`predict`.
            threshold: Class probability that a segment needs, 0 to 1; None for the predictor's.
            min_share: A segment that keeps less than this share of its mask, 0 to 1, is dropped.
            classes: Names of the wanted classes in either language, other pixels have no segment; None for
                all.
            things: As for :meth:`predict_instances`; the other classes are stuff.
            batch_size: Pictures at once; None takes the predictor's.

        Returns:
            One result for one picture, a list for a list (also of one or none); the largest segment first.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: As for :meth:`predict_instances`.
        """
        model = query_model(self.model)
        threshold = self.panoptic_threshold if threshold is None else check_threshold(threshold)
        check_threshold(min_share, name="min_share")
        wanted = class_numbers(classes, self.classes)
        find = partial(
            QuerySegments(model, self.preprocessing, self.device).panoptic,
            things=self.thing_numbers(things),
            threshold=threshold,
            min_share=min_share,
        )

        def predict(pictures: Sequence[Picture]) -> list[PanopticMap]:
            found = find([picture for picture, _ in pictures])
            return [
                panoptic_map(one, self.classes, self.palette, picture, wanted)
                for one, picture in zip(found, pictures, strict=True)
            ]

        size = self.batch_size if batch_size is None else check_batch_size(batch_size)
        return predict_each(images, size, predict)

    def thing_numbers(self, things: Sequence[str] | None = None) -> frozenset[int]:
        """Return the numbers of the classes that can be counted: those named, the predictor's, those known.

        Raises:
            ValueError: A name is none of the model's, or nobody has said which of its classes are things.
        """
        if things is None and self.things is not None:
            return frozenset(class_numbers(self.things, self.classes) or ()) if self.things else frozenset()
        return thing_numbers(things, self.classes)

    def _counted(self, things: frozenset[int], wanted: tuple[int, ...] | None) -> frozenset[int]:
        """The wanted things; a wanted class that is none would never be found."""
        stuff = [self.classes.en[number] for number in wanted or () if number not in things]
        if stuff:
            raise ValueError(
                f"{stuff[0]!r} is stuff, of which there are no instances; take panoptic segments, or name it "
                "among things= (--things)"
            )
        return things if wanted is None else frozenset(wanted)

    def _predict_batch(
        self, pictures: Sequence[Image.Image], label: _Label, tile: int | None, batch_size: int
    ) -> list[tuple[Labels, Scores]]:
        sides = [self._tile_side(picture, tile) for picture in pictures]
        whole = [picture for picture, side in zip(pictures, sides, strict=True) if side is None]
        maps = iter(label(whole))
        return [
            next(maps) if side is None else self._label_tiles(picture, label, side, batch_size)
            for picture, side in zip(pictures, sides, strict=True)
        ]

    def _tile_side(self, picture: Image.Image, tile: int | None) -> int | None:
        long_side, short_side = self.preprocessing.long_side, self.preprocessing.short_side
        return tile_side((picture.height, picture.width), tile, long_side=long_side, short_side=short_side)

    def _label_tiles(
        self, picture: Image.Image, label: _Label, side: int, batch_size: int
    ) -> tuple[Labels, Scores]:
        """Of the tiles that see a pixel, the surest decides; near its border a tile is less sure."""
        size = (picture.height, picture.width)
        labels: Labels = np.zeros(size, dtype=self._label_type)
        scores, best = np.zeros(size, dtype=np.float32), np.full(size, -1.0, dtype=np.float32)
        parts = tiles(size, side)
        for start in range(0, len(parts), batch_size):
            chosen = parts[start : start + batch_size]
            found = label([picture.crop(part.box) for part in chosen])
            for part, (tile_labels, tile_scores) in zip(chosen, found, strict=True):
                place = slice(part.top, part.bottom), slice(part.left, part.right)
                sureness = tile_scores * certainty(part, size)
                wins = sureness > best[place]
                best[place][wins] = sureness[wins]
                labels[place][wins] = tile_labels[wins]
                scores[place][wins] = tile_scores[wins]
        return labels, scores

    def label(
        self, pictures: Sequence[Image.Image], *, scales: Sequence[float] = (1.0,), flip: bool = False
    ) -> list[tuple[Labels, Scores]]:
        """Return the most probable class of each pixel of upright RGB pictures, and its probability.

        Args:
            pictures: They go through the model at once, or in as many calls as their inputs have sizes.
            scales: As in :meth:`predict`.
            flip: As in :meth:`predict`.

        Raises:
            ValueError: The model returns NaN or infinite values.
        """
        results: dict[int, tuple[Labels, Scores]] = {}
        for rows in same_size_batches(pictures, self.preprocessing.input_size):
            found = self._run([pictures[row] for row in rows], scales, flip)
            results.update(zip(rows, map(self._arrays, found), strict=True))
        return [results[row] for row in range(len(pictures))]

    @torch.inference_mode()
    def _run(self, pictures: Sequence[Image.Image], scales: Sequence[float], flip: bool) -> list[LabelMap]:
        images = torch.stack([self.preprocessing(picture) for picture in pictures]).to(self.device)
        how = self.preprocessing
        return label_maps(
            self.model,
            images,
            mode=how.mode,
            crop=how.crop if how.mode == "slide" else None,
            stride=how.stride if how.mode == "slide" else None,
            scales=scales,
            flip=flip,
            original_sizes=[(picture.height, picture.width) for picture in pictures],
            with_scores=True,
        )

    def _arrays(self, found: LabelMap) -> tuple[Labels, Scores]:
        assert found.scores is not None, "scores were asked for"
        if not torch.isfinite(found.scores).all():
            raise ValueError(DAMAGED)
        labels, scores = found.labels.cpu().numpy(), found.scores.float().cpu().numpy()
        return labels.astype(self._label_type), scores.astype(np.float32, copy=False)

    @property
    def _label_type(self) -> type[np.uint8] | type[np.int32]:
        return np.uint8 if unlabelled(len(self.classes)) <= np.iinfo(np.uint8).max else np.int32

    def _selected(
        self, labels: Labels, scores: Scores, threshold: float, wanted: tuple[int, ...] | None
    ) -> tuple[Labels, Scores]:
        """Take the class off pixels below ``threshold`` and of other classes than ``wanted``."""
        if threshold == 0.0 and wanted is None:
            return labels, scores
        drops = scores < threshold
        if wanted is not None:
            drops |= ~np.isin(labels, wanted)
        labels[drops] = unlabelled(len(self.classes))
        return labels, scores

    def _result(self, picture: Picture, labels: Labels, scores: Scores) -> SemanticMap:
        image, source = picture
        return SemanticMap(
            labels=labels,
            names_en=self.classes.en,
            names_zh=self.classes.zh,
            palette=self.palette,
            scores=scores,
            source=source,
            image=image,
        )
