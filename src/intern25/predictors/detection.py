# SPDX-License-Identifier: MIT
"""From pictures to the objects in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.data.images import ImageSource
from intern25.data.resizing import DetectionPreprocessing, Size
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
)
from intern25.predictors.selection import Selection
from intern25.predictors.tiled_detection import find_objects, with_names
from intern25.results import Detections


class DetectionPredictor:
    """Finds objects: boxes, classes and, where the model has them, masks.

    A picture's result does not depend on the pictures it is given with: only pictures whose inputs have one
    size share a batch, so that nobody is padded for somebody else.

    Args:
        model: ``model(images, image_sizes, original_sizes)`` to one :class:`Detections` a picture; put into
            evaluation mode.
        preprocessing: From pictures to the model's input.
        classes: Names of the classes.
        threshold: Smallest score of an object where none is asked for.
        batch_size: Pictures that go through the model at once.
        device: Where the model is; None takes that of its parameters.

    Raises:
        ValueError: Names and classes of the model differ in number, or a number is out of range.

    Example:
        >>> predictor = intern25.load("dino_4scale_internimage_t_1x_coco_layer_wise")  # doctest: +SKIP
        >>> predictor.predict("street.jpg", classes=["person", "自行车"]).draw()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: DetectionPreprocessing,
        classes: ClassNames,
        *,
        threshold: float = USUAL_THRESHOLD,
        batch_size: int = 8,
        device: torch.device | None = None,
    ) -> None:
        check_classes(model, classes)
        self.model = model.eval()
        self.preprocessing = preprocessing
        self.classes = classes
        self.threshold = check_threshold(threshold)
        self.batch_size = check_batch_size(batch_size)
        self.device = device_of(model, device)
        self._is_sound = False

    # A str is also a sequence of str; the first matching signature wins, as in the body.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        max_detections: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> Detections: ...

    @overload
    def predict(
        self,
        images: Sequence[ImageSource],
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        max_detections: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> list[Detections]: ...

    def predict(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        threshold: float | None = None,
        classes: Sequence[str] | None = None,
        max_detections: int = 100,
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> Detections | list[Detections]:
        """Find the objects of one picture, or of each of a list.

        Args:
            images: Whatever :func:`intern25.data.images.read_image` reads - path, PIL image, ``(H, W, C)``
                uint8 array, ``(C, H, W)`` tensor - or a list or tuple of them, also mixed.
            threshold: Smallest score of an object, 0 to 1; None for the predictor's.
            classes: Names of the wanted classes in either language; None for all.
            max_detections: Most objects of one picture.
            tile: Look at the picture in overlapping tiles of so many pixels and once as a whole, which finds
                small objects; 0 never; None does so for pictures above 5000 pixels.
            batch_size: Pictures or tiles at once; None takes the predictor's.

        Returns:
            One result for one picture, a list for a list (also of one or none).

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: A class is unknown, a number is out of range, or the model returns NaN.
        """
        threshold = self.threshold if threshold is None else check_threshold(threshold)
        if max_detections < 1:
            raise ValueError(f"max_detections={max_detections} must be 1 or more")
        wanted = Selection(threshold, class_numbers(classes, self.classes), max_detections)
        size = self.batch_size if batch_size is None else check_batch_size(batch_size)
        return predict_each(
            images, size, lambda pictures: self._predict_batch(pictures, wanted, tile, batch_size=size)
        )

    def _predict_batch(
        self, pictures: Sequence[Picture], wanted: Selection, tile: int | None, *, batch_size: int
    ) -> list[Detections]:
        images = [picture for picture, _ in pictures]
        found = find_objects(self.detect, self.preprocessing, images, wanted, tile, batch_size)
        return [with_names(one, self.classes, picture) for one, picture in zip(found, pictures, strict=True)]

    def detect(
        self, pictures: Sequence[Image.Image], *, output_sizes: Sequence[Size] | None = None
    ) -> list[Detections]:
        """Return all that the model finds in upright RGB pictures, without names and selection.

        Args:
            pictures: They go through the model at once, or in as many calls as their inputs have sizes.
            output_sizes: Height and width that boxes and masks refer to; None for those of the pictures.

        Raises:
            ValueError: The model returns NaN or infinite values.
        """
        results: dict[int, Detections] = {}
        for rows in same_size_batches(pictures, self.preprocessing.input_size):
            inputs = self.preprocessing([pictures[row] for row in rows])
            sizes = [
                inputs.original_sizes[k] if output_sizes is None else output_sizes[row]
                for k, row in enumerate(rows)
            ]
            found = self._run(inputs.images.to(self.device), list(inputs.image_sizes), sizes)
            results.update(zip(rows, found, strict=True))
        return [results[row] for row in range(len(pictures))]

    @torch.inference_mode()
    def _run(
        self, images: Tensor, image_sizes: Sequence[Size], original_sizes: Sequence[Size]
    ) -> list[Detections]:
        found: list[Detections] = self.model(images, image_sizes, original_sizes)
        if not all(np.isfinite(one.scores).all() and np.isfinite(one.boxes).all() for one in found):
            raise ValueError(DAMAGED)
        if not self._is_sound and not any(map(len, found)) and _is_damaged(self.model, images):
            raise ValueError(DAMAGED)
        # Once is enough: weights do not change, and scenes without objects are common in videos.
        self._is_sound = True
        return found


def _is_damaged(model: nn.Module, images: Tensor) -> bool:
    """Whether nothing was found because the network computes NaN: thresholds drop NaN without a word."""
    tensors = [*model.parameters(), *model.buffers()]
    backbone = getattr(model, "backbone", None)
    if isinstance(backbone, nn.Module):
        # An optimised backbone has no parameters.
        tensors += list(backbone(images))
    return not all(torch.isfinite(tensor).all() for tensor in tensors)
