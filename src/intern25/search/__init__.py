# SPDX-License-Identifier: MIT
"""Find pictures and moments of videos in an album, by a text or by an example."""

from __future__ import annotations

from intern25.search.contact_sheet import ContactSheet
from intern25.search.embedder import Embedder, RegionEmbedder, Regions
from intern25.search.index import SearchIndex
from intern25.search.matches import Match
from intern25.search.moments import Moment, find_moments
from intern25.search.opening import open_embedder
from intern25.search.update import UpdateReport

__all__ = [
    "ContactSheet",
    "Embedder",
    "Match",
    "Moment",
    "RegionEmbedder",
    "Regions",
    "SearchIndex",
    "UpdateReport",
    "find_moments",
    "open_embedder",
]
