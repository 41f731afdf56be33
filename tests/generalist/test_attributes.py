# SPDX-License-Identifier: MIT
"""Attribute vectors against the published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.generalist.attributes import NUM_ATTRIBUTES, Attributes

PUBLISHED = {
    "picture to classify": ("10011000", {"input_image", "target_text", "image_token"}),
    "masked words": ("01010100", {"input_text", "target_text", "text_token"}),
    "caption, picture": ("11011000", {"input_image", "input_text", "target_text", "image_token"}),
    "caption, words": ("11010101", {"input_image", "input_text", "target_text", "text_token", "causal"}),
    "names and captions to match": ("10010110", {"input_image", "target_text", "text_token", "of_target"}),
    "vocabulary": ("11010110", {"input_image", "input_text", "target_text", "text_token", "of_target"}),
}


@pytest.mark.parametrize(("bits", "names"), PUBLISHED.values(), ids=PUBLISHED)
def test_named_attributes_give_the_published_vectors(bits: str, names: set[str]) -> None:
    attributes = Attributes(**dict.fromkeys(names, True))
    assert attributes.vector() == tuple(float(bit) for bit in bits + "0000")
    assert Attributes.from_bits(bits) == attributes


def test_our_own_attributes_come_last() -> None:
    own = (
        Attributes(detection=True),
        Attributes(dense=True),
        Attributes(bev=True),
        Attributes(generation=True),
    )
    assert [attributes.vector().index(1.0) for attributes in own] == [8, 9, 10, 11]


@given(st.text("01", max_size=NUM_ATTRIBUTES))
def test_bits_come_back(bits: str) -> None:
    attributes = Attributes.from_bits(bits)
    assert str(attributes) == bits.ljust(NUM_ATTRIBUTES, "0")
    assert {attributes: 1}[Attributes.from_bits(str(attributes))] == 1


@pytest.mark.parametrize("bits", ["10x", "1" * 13, "1 0"])
def test_other_characters_and_lengths_are_refused(bits: str) -> None:
    with pytest.raises(ValueError, match="at most 12 zeros and ones"):
        Attributes.from_bits(bits)
