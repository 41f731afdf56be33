# SPDX-License-Identifier: MIT
"""The generalist as a detector of what a phrase means: the regions of a picture compete for it."""

from __future__ import annotations

from torch import Tensor

from intern25.generalist.closed_lists import ListDetector
from intern25.generalist.features import ImageFeatures
from intern25.generalist.proposals import Proposals


class PhraseDetector(ListDetector):
    r"""Finds the region of a picture that a phrase means.

    .. math:: P(q) = \frac{\exp(\cos(g f(q), g f(y)) / \tau)}{\sum_r \exp(\cos(g f(r), g f(y)) / \tau)}

    Convention: the names are one phrase, and the scores of a picture's regions add up to 1.
    """

    def scores(self, features: ImageFeatures, proposals: Proposals) -> Tensor:
        """``(N, Q, 1)`` probabilities of the proposals."""
        states = self.model.embed_regions(features, self.routing)
        logits = self.model.readout.logits(states, self.embedded_names(), "region").float()
        return logits.softmax(dim=1)
