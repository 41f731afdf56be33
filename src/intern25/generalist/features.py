# SPDX-License-Identifier: MIT
"""What the generalist knows of pictures before a task asks anything."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from intern25.generalist.proposals import Proposals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFeatures:
    """Tokens of a batch of pictures: ``f_image = Concat(global, proposals)``.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.1.
    """

    tokens: Tensor
    """``(N, L, d)`` global tokens."""
    regions: Tensor | None = None
    """``(N, K, d)`` tokens of proposals, where the task looks at regions."""
    proposals: Proposals | None = None
    """All proposals, where the proposal network ran."""

    def select(self, rows: Tensor) -> ImageFeatures:
        """Return the tokens of pictures ``rows`` ``(T,)``, such as the picture of each question."""
        regions = None if self.regions is None else self.regions.index_select(0, rows)
        return replace(self, tokens=self.tokens.index_select(0, rows), regions=regions, proposals=None)
