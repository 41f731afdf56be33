# SPDX-License-Identifier: MIT
"""The generalist with a fixed list of names: it then has the calls of a classifier, detector or segmenter.

Evaluation, predictors, tiling and video are written for those calls and need nothing else.
"""

# N pictures, Q proposals, K names, d width of the decoder

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor, nn

from intern25.generalist.dense_head import dense_logits
from intern25.generalist.features import ImageFeatures
from intern25.generalist.kept_names import KeptNames
from intern25.generalist.model import Generalist
from intern25.generalist.prompt_tuning import tuned_logits
from intern25.generalist.proposals import Proposals
from intern25.generalist.routing import DENSE, DETECTION, MATCHING, Routing
from intern25.generalist.tokenizer import TokenBatch
from intern25.layers.boxes import cells_inside, cxcywh_to_xyxy
from intern25.layers.convolution import resize
from intern25.results import Detections

OBJECTNESS_SHARE = 0.5
"""Exponent ``b`` of :func:`detection_scores`."""
MAX_DETECTIONS = 100
MASK_THRESHOLD = 0.0
Size = tuple[int, int]


def detection_scores(objectness: Tensor, named: Tensor) -> Tensor:
    r"""Combine whether a proposal is an object with whether it is what a name says.

    .. math:: s = o^b \, p^{1 - b}

    Args:
        objectness: ``(..., 1)`` probabilities ``o`` that a proposal is an object, of whatever class.
        named: ``(..., K)`` probabilities ``p`` of each name, from a sigmoid of its own: names do not compete,
            so a name keeps its score whatever else is asked for.

    Returns:
        ``(..., K)`` scores, 0 to 1. They order detections; how far they are from being probabilities is what
        :func:`intern25.evaluation.calibration.calibrate_detections` measures.
    """
    return objectness**OBJECTNESS_SHARE * named ** (1 - OBJECTNESS_SHARE)


class _ClosedList(nn.Module):
    """A generalist and the embeddings of ``K`` names, computed once."""

    def __init__(self, model: Generalist, names: TokenBatch, routing: Routing) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.routing = routing
        self._embedded = KeptNames(model, names, routing)

    @property
    def num_classes(self) -> int:
        """Names."""
        return len(self.names.ids)

    def embedded_names(self) -> Tensor:
        """``(K, d)``; kept until the model trains or has other weights."""
        return self._embedded()


class ListClassifier(_ClosedList):
    """Scores each name for a whole picture.

    Args:
        model: The generalist.
        names: Tokens of the names.
        head: Task of prompt tuning whose head is used beside the names, which are its classes; None for none.
    """

    def __init__(self, model: Generalist, names: TokenBatch, *, head: str | None = None) -> None:
        super().__init__(model, names, MATCHING)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """``(N, K)`` logits of normalised ``(N, 3, H, W)`` pictures."""
        x = self.model.embed_images(self.model.encode_image(images), self.routing)
        logits = self.model.readout.logits(x, self.embedded_names(), "classification")
        return logits if self.head is None else tuned_logits(self.model, self.head, logits, x)


class ListSegmenter(_ClosedList):
    """Scores each name at each pixel.

    Args:
        model: The generalist.
        names: Tokens of the names.
    """

    def __init__(self, model: Generalist, names: TokenBatch) -> None:
        super().__init__(model, names, DENSE)

    def scores(self, images: Tensor) -> Tensor:
        """``(N, K, H/4, W/4)`` logits."""
        pixels = self.model.encode_pixels(images)
        return dense_logits(pixels, self.embedded_names(), self.model.readout.scale("dense"))

    def forward(self, images: Tensor) -> Tensor:
        """``(N, K, H, W)`` logits at the size of the pictures."""
        return resize(self.scores(images), (images.shape[-2], images.shape[-1]))


class ListDetector(_ClosedList):
    r"""Finds objects of the names, with masks.

    .. math:: s = o^b \, \sigma(\cos(g f(q), g f(y)) / \tau + c)^{1 - b}, \qquad b = 1/2

    Convention: ``o`` is the objectness of proposal ``q``, :math:`\tau` and ``c`` are learnt temperature and
    bias of regions, and ``y`` is a name; see :func:`detection_scores`.

    Args:
        model: The generalist.
        names: Tokens of the names.
        max_detections: Most objects of a picture.
        with_masks: Whether to return masks.
    """

    def __init__(
        self,
        model: Generalist,
        names: TokenBatch,
        *,
        max_detections: int = MAX_DETECTIONS,
        with_masks: bool = True,
    ) -> None:
        super().__init__(model, names, DETECTION)
        self.max_detections = max_detections
        self.with_masks = with_masks

    def forward(
        self, images: Tensor, image_sizes: list[Size] | None = None, original_sizes: list[Size] | None = None
    ) -> list[Detections]:
        """Find objects.

        Args:
            images: Normalised ``(N, 3, H, W)``, zeros right of and below each picture.
            image_sizes: (height, width) of each picture inside its padding; None = no padding.
            original_sizes: (height, width) to scale results to; None = those of the pictures.

        Returns:
            One result a picture, boxes in pixels of ``original_sizes``.
        """
        whole = (images.shape[-2], images.shape[-1])
        inner = image_sizes or [whole] * len(images)
        outer = original_sizes or inner
        features = self.model.encode_image(images, regions=None)
        proposals = features.proposals
        assert proposals is not None, "asked for above"
        scores, boxes = self.scores(features, proposals), proposals.boxes.float()
        return [
            self._detections(scores[row], boxes[row], row, features, whole, inner[row], outer[row])
            for row in range(len(images))
        ]

    def scores(self, features: ImageFeatures, proposals: Proposals) -> Tensor:
        """``(N, Q, K)`` scores of the names, 0 to 1, for each of the proposals."""
        states = self.model.embed_regions(features, self.routing)
        named = self.model.readout.sigmoid_logits(states, self.embedded_names(), "region").float().sigmoid()
        return detection_scores(proposals.objectness.float().sigmoid()[..., None], named)

    def _detections(
        self,
        scores: Tensor,
        boxes: Tensor,
        row: int,
        features: ImageFeatures,
        whole: Size,
        inner: Size,
        outer: Size,
    ) -> Detections:
        best, places = scores.flatten().topk(min(self.max_detections, scores.numel()))
        queries, labels = places // scores.shape[1], places % scores.shape[1]
        corners = cxcywh_to_xyxy(boxes[queries]) * boxes.new_tensor([whole[1], whole[0]] * 2)
        limit = corners.new_tensor([inner[1], inner[0]] * 2)
        scale = corners.new_tensor([outer[1] / inner[1], outer[0] / inner[0]] * 2)
        masks = None
        if self.with_masks:
            masks = self._masks(features, row, queries, whole, inner, outer)
        return Detections(
            boxes=(corners.clamp(min=0).minimum(limit) * scale).cpu().numpy().astype(np.float32),
            scores=best.cpu().numpy().astype(np.float32),
            labels=labels.cpu().numpy(),
            size=outer,
            masks=masks,
        )

    def _masks(
        self, features: ImageFeatures, row: int, queries: Tensor, whole: Size, inner: Size, outer: Size
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        unique, back = queries.unique(return_inverse=True)
        proposals = features.proposals
        assert proposals is not None, "asked for in forward"
        embeddings, pixels = proposals.layers.mask_embeddings[-1][row, unique], proposals.mask_features[row]
        logits = (embeddings @ pixels.flatten(1)).unflatten(1, pixels.shape[1:])[None].float()
        full = resize(logits, whole)[..., : inner[0], : inner[1]]
        # A mask ends with its box, see `ProposalCriterion`.
        boxes = proposals.boxes[row, unique].float() * logits.new_tensor(
            (whole[1] / inner[1], whole[0] / inner[0]) * 2
        )
        inside = cells_inside(boxes, outer)
        masks = ((resize(full, outer)[0] > MASK_THRESHOLD) & inside).cpu().numpy()
        return cast("np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", masks[back.cpu().numpy()])
