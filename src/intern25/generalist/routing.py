# SPDX-License-Identifier: MIT
"""Attributes of the token groups of each kind of task: which experts see them."""

from __future__ import annotations

from dataclasses import dataclass

from intern25.generalist.attributes import Attributes


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """Attributes of the token groups of one kind of task."""

    image: Attributes
    """Tokens of the picture: ``<SPE>``, global and region tokens."""
    text: Attributes
    """Text that is given: questions and requests."""
    target: Attributes
    """Names, answers and captions that the input is compared with."""
    written: Attributes
    """Text that is written, each token seeing only what comes before."""


def _routing(image: str, text: str, target: str, written: str, **marks: bool) -> Routing:
    parts = (Attributes.from_bits(bits) for bits in (image, text, target, written))
    groups = dict(zip(("image", "text", "target", "written"), parts, strict=True))
    if not marks:
        return Routing(**groups)
    names = Attributes.__dataclass_fields__
    marked = {
        group: Attributes(**{name: getattr(bits, name) or marks.get(name, False) for name in names})
        for group, bits in groups.items()
    }
    return Routing(**marked)


MATCHING = _routing("10011000", "10010100", "10010110", "10010101")
"""A picture against texts: classification and retrieval, whose published vectors are the same."""
DETECTION = _routing("10011000", "10010100", "10010110", "10010101", detection=True)
"""Regions of a picture against texts: detection, instance segmentation, referring."""
DENSE = _routing("10011000", "10010100", "10010110", "10010101", dense=True)
"""Pixels against texts: semantic segmentation."""
ANSWERING = _routing("11011000", "11010100", "11010110", "11010101")
"""Text written about a picture after a prompt: captions, answers, reading."""
LANGUAGE = _routing("01010000", "01010100", "01010110", "01010101")
"""Text alone."""
