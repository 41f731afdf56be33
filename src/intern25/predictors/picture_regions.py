# SPDX-License-Identifier: MIT
"""The parts of pictures that may be objects, embedded to be compared with texts."""

# N pictures, Q proposals, R regions, d width

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from intern25.data.resizing import DetectionPreprocessing, Size
from intern25.generalist.model import Generalist
from intern25.generalist.routing import DETECTION
from intern25.layers.boxes import clip_boxes, cxcywh_to_xyxy
from intern25.predictors.inputs import DAMAGED, same_size_batches

MOST_REGIONS = 8
"""Regions of one picture: an index keeps an embedding of each."""
SMALLEST_OBJECTNESS = 0.2
"""Foretold IoU with an object; below it nearly all proposals are background."""
LARGEST_OVERLAP = 0.7
"""IoU above which the worse of two regions says nothing new."""

_SMALLEST_SIDE = 1.0


class PictureRegions(NamedTuple):
    """Regions of one picture, the likeliest object first; maybe none."""

    boxes: NDArray[np.float32]
    """``(R, 4)`` left, top, right, bottom in pixels of the picture."""
    embeddings: NDArray[np.float32]
    """``(R, d)``, of length 1."""
    scores: NDArray[np.float32]
    """``(R,)`` objectness, 0 to 1."""


@torch.inference_mode()
def embedded_regions(
    model: Generalist,
    preprocessing: DetectionPreprocessing,
    pictures: Sequence[Image.Image],
    *,
    device: torch.device,
) -> list[PictureRegions]:
    """Propose regions and embed them, as detection does.

    Convention:
        - the embeddings are those that detection compares with names. Texts of retrieval point nearly where
          names do, so that a query is embedded once for pictures and regions.
        - only pictures whose inputs have one size share a batch, so that nobody's neighbours matter.

    Args:
        model: The generalist, in evaluation mode.
        preprocessing: From pictures to its input.
        pictures: Upright RGB pictures.
        device: Where the model is.

    Returns:
        At most :data:`MOST_REGIONS` of each picture, of objectness :data:`SMALLEST_OBJECTNESS` or more, that
        overlap by :data:`LARGEST_OVERLAP` at most.

    Raises:
        ValueError: The model returns NaN.
    """
    found: dict[int, PictureRegions] = {}
    for rows in same_size_batches(pictures, preprocessing.input_size):
        inputs = preprocessing([pictures[row] for row in rows])
        whole = (inputs.images.shape[-2], inputs.images.shape[-1])
        boxes, objectness, embeddings = _proposed(model, inputs.images.to(device))
        corners = cxcywh_to_xyxy(boxes) * boxes.new_tensor([whole[1], whole[0]] * 2)
        for k, (row, inner, outer) in enumerate(
            zip(rows, inputs.image_sizes, inputs.original_sizes, strict=True)
        ):
            # What a proposal has of the padding is no part of the picture.
            inside = clip_boxes(corners[k], inner)
            kept = _best(inside, objectness[k])
            found[row] = PictureRegions(
                _array(inside[kept]) * _scale(inner, outer),
                _array(embeddings[k, kept]),
                _array(objectness[k, kept]),
            )
    return [found[row] for row in range(len(pictures))]


def _proposed(model: Generalist, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes ``(N, Q, 4)`` as shares of the input, objectness ``(N, Q)`` and embeddings ``(N, Q, d)``."""
    features = model.encode_image(images, regions=None)
    proposals = features.proposals
    assert proposals is not None, "asked for above"
    boxes, objectness = proposals.boxes.float(), proposals.objectness.float().sigmoid()
    embeddings = model.embed_regions(features, DETECTION).float()
    if not all(torch.isfinite(values).all() for values in (boxes, objectness, embeddings)):
        raise ValueError(DAMAGED)
    return boxes, objectness, embeddings


def _best(boxes: Tensor, objectness: Tensor) -> Tensor:
    """Rows of the regions that stay, best first."""
    sides = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
    likely = torch.nonzero((objectness >= SMALLEST_OBJECTNESS) & (sides >= _SMALLEST_SIDE)).flatten()
    from torchvision.ops import nms

    different = nms(boxes[likely], objectness[likely], LARGEST_OVERLAP)
    return likely[different[:MOST_REGIONS]]


def _scale(inner: Size, outer: Size) -> NDArray[np.float32]:
    """From pixels of the input to those of the picture."""
    return np.array([outer[1] / inner[1], outer[0] / inner[0]] * 2, dtype=np.float32)


def _array(values: Tensor) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", values.cpu().numpy())
