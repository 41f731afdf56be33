# SPDX-License-Identifier: MIT
"""The generalist as a segmenter with queries: things from its proposals, stuff from its pixels."""

# N pictures, Q proposals, K names, S names that are stuff, T names that are things

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from intern25.generalist.closed_lists import ListSegmenter, detection_scores
from intern25.generalist.dense_head import dense_logits
from intern25.generalist.features import ImageFeatures
from intern25.generalist.kept_names import KeptNames
from intern25.generalist.model import Generalist
from intern25.generalist.proposals import Proposals
from intern25.generalist.routing import DETECTION
from intern25.generalist.tokenizer import TokenBatch
from intern25.segmentation.mask2former_decoder import QueryPredictions

_EPS = 1e-6
# Finite, so that damaged weights are still told from names that a query does not have.
_NEVER = -1e4


class ListQuerySegmenter(ListSegmenter):
    r"""A :class:`ListSegmenter` that also tells objects apart.

    Convention:
        - a thing is a proposal with its best name, scored as :class:`ListDetector` scores it.
        - each name that is stuff is one more query: its mask is the probability of the name at each pixel,
          its score the mean of that where it is one half or more. A pixel that looks like a thing is thus
          worth little to stuff.

    Args:
        model: The generalist.
        names: Tokens of the ``K`` names.
        things: Numbers of the names that can be counted.
    """

    def __init__(self, model: Generalist, names: TokenBatch, things: Collection[int]) -> None:
        super().__init__(model, names)
        self.things = tuple(sorted(things))
        self.stuff = tuple(row for row in range(len(names.ids)) if row not in set(things))
        rows = list(self.things)
        # By the attributes of detection: those of the pixels are others.
        self._embedded_things = KeptNames(model, TokenBatch(names.ids[rows], names.present[rows]), DETECTION)

    def scores(self, images: Tensor) -> Tensor:
        """``(N, K, H/4, W/4)`` logits.

        Raises:
            ValueError: There is but one name.
        """
        if self.num_classes < 2:
            raise ValueError(
                "one class leaves nothing to choose between, every pixel would be of it; also name one for "
                "all else, such as 'background', or look for objects"
            )
        return super().scores(images)

    def predict_queries(self, images: Tensor) -> QueryPredictions:
        """Classes and masks of ``Q + S`` queries, of which each has one name or none."""
        features = self.model.encode_image(images, regions=None)
        proposals = features.proposals
        assert proposals is not None, "asked for above"
        pixels = self.model.dense_head(proposals.mask_features)
        scores = dense_logits(pixels, self.embedded_names(), self.model.readout.scale("dense"))
        stuff = scores.float().softmax(dim=1)[:, list(self.stuff)].clamp(_EPS, 1 - _EPS)
        inside = (stuff >= 0.5).to(stuff.dtype)
        sureness = (stuff * inside).flatten(2).sum(2) / inside.flatten(2).sum(2).clamp(min=1)
        labels = torch.tensor(self.stuff, device=images.device).expand(len(images), -1)
        parts = [
            QueryPredictions(self._class_logits(sureness, labels), stuff.logit()),
            *([self._things(features, proposals)] if self.things else []),
        ]
        return QueryPredictions(*(torch.cat(values, dim=1) for values in zip(*parts, strict=True)))

    def _things(self, features: ImageFeatures, proposals: Proposals) -> QueryPredictions:
        states = self.model.embed_regions(features, DETECTION)
        named = self.model.readout.sigmoid_logits(states, self._embedded_things(), "region").float().sigmoid()
        best, rows = named.max(dim=2)
        scores = detection_scores(proposals.objectness.float().sigmoid(), best)
        labels = torch.tensor(self.things, device=rows.device)[rows]
        return QueryPredictions(self._class_logits(scores, labels), proposals.mask_logits().float())

    def _class_logits(self, scores: Tensor, labels: Tensor) -> Tensor:
        """``(N, q, K + 1)`` whose softmax is the score at the label and the rest at "no object"."""
        logits = torch.full((*scores.shape, self.num_classes + 1), _NEVER, device=scores.device)
        scores = scores.clamp(_EPS, 1 - _EPS)
        logits[..., -1] = (1 - scores).log()
        return logits.scatter(2, labels[..., None], scores.log()[..., None])
