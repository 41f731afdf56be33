# SPDX-License-Identifier: MIT
"""The generalist as a detector of what a phrase means: the regions of a picture compete for it."""

from __future__ import annotations

from torch import Tensor

from intern25.generalist.closed_lists import ListDetector, Size
from intern25.results import Detections


class PhraseDetector(ListDetector):
    r"""Finds the region of a picture that a phrase means.

    .. math:: P(q) = \frac{\exp(\cos(g f(q), g f(y)) / \tau)}{\sum_r \exp(\cos(g f(r), g f(y)) / \tau)}

    Convention: the names are one phrase, and the scores of a picture's regions add up to 1.
    """

    def forward(
        self, images: Tensor, image_sizes: list[Size] | None = None, original_sizes: list[Size] | None = None
    ) -> list[Detections]:
        """Score the regions; arguments and results are those of :class:`ListDetector`."""
        whole = (images.shape[-2], images.shape[-1])
        inner = image_sizes or [whole] * len(images)
        outer = original_sizes or inner
        features = self.model.encode_image(images, regions=None)
        proposals = features.proposals
        assert proposals is not None, "asked for above"
        states = self.model.embed_regions(features, self.routing)
        logits = self.model.readout.logits(states, self.embedded_names(), "region").float()
        scores = logits.softmax(dim=1)
        boxes = proposals.boxes.float()
        return [
            self._detections(scores[row], boxes[row], row, features, whole, inner[row], outer[row])
            for row in range(len(images))
        ]
