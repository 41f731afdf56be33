# SPDX-License-Identifier: MIT
"""What a group of tokens is and what it is for: the attributes that choose its experts."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Self

NUM_ATTRIBUTES = 12
"""Entries of an attribute vector."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes:
    """Attributes of one group of tokens in one task, most of them off.

    Convention: the order of the fields is the order of the vector. The first eight are those of
    Uni-Perceiver-MoE, whose vectors are published without the meaning of their bits; the meaning here is
    inferred from which bits its tasks set. The last four are our own, for the tasks it did not have.

    Example:
        >>> caption_words = Attributes(
        ...     input_image=True, input_text=True, target_text=True, text_token=True, causal=True
        ... )
        >>> str(caption_words)
        '110101010000'
        >>> caption_words == Attributes.from_bits("11010101")
        True

    Source:
        Uni-Perceiver-MoE, arXiv:2206.04674, section 3.
    """

    input_image: bool = False
    """The task's input ``x`` has a picture."""
    input_text: bool = False
    """The task's input ``x`` has text."""
    target_image: bool = False
    """The task's target ``y`` has a picture."""
    target_text: bool = False
    """The task's target ``y`` has text."""
    image_token: bool = False
    """These tokens are visual."""
    text_token: bool = False
    """These tokens are text."""
    of_target: bool = False
    """These tokens belong to the target ``y``."""
    causal: bool = False
    """These tokens see only what comes before them."""
    detection: bool = False
    """The task finds objects."""
    dense: bool = False
    """The task says something of every pixel."""
    bev: bool = False
    """The task looks at the scene from above."""
    generation: bool = False
    """The task makes pictures."""

    @classmethod
    def from_bits(cls, bits: str) -> Self:
        """Read a vector as it is published; bits that are left out at the end are off.

        Raises:
            ValueError: There are characters besides 0 and 1, or too many.
        """
        if len(bits) > NUM_ATTRIBUTES or set(bits) - {"0", "1"}:
            raise ValueError(f"the attribute vector {bits!r} must be at most {NUM_ATTRIBUTES} zeros and ones")
        names = (field.name for field in fields(cls))
        return cls(**{name: bit == "1" for name, bit in zip(names, bits, strict=False)})

    def vector(self) -> tuple[float, ...]:
        """Return the twelve attributes as zeros and ones."""
        return tuple(float(value) for value in astuple(self))

    def __str__(self) -> str:
        return "".join("1" if value else "0" for value in astuple(self))
