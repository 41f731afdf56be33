# SPDX-License-Identifier: MIT
"""The colour space: known colours, there and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.data.oklch import oklch_from_srgb, relative_luminance, srgb_from_oklch

level = st.integers(0, 255)


# Values of CSS Color 4.
@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((255, 0, 0), (0.628, 0.2577, 29.23)),
        ((0, 255, 0), (0.8664, 0.2948, 142.5)),
        ((0, 0, 255), (0.452, 0.3132, 264.05)),
    ],
)
def test_known_colours(color: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    lightness, chroma, hue = oklch_from_srgb(color)
    assert (lightness, chroma, math.degrees(hue) % 360) == pytest.approx(expected, rel=1e-3)


@given(color=st.tuples(level, level, level))
def test_there_and_back(color: tuple[int, int, int]) -> None:
    lightness, chroma, hue = oklch_from_srgb(color)
    # On the edge of sRGB rounding may ask for a colour outside, which loses a twentieth of its chroma.
    back = srgb_from_oklch(lightness, 0.9 * chroma, hue)
    assert oklch_from_srgb(back)[0] == pytest.approx(lightness, abs=0.01)
    if chroma > 0.05:
        turn = oklch_from_srgb(back)[2] - hue
        assert abs(math.remainder(turn, 2 * math.pi)) < 0.15


def test_luminance() -> None:
    assert relative_luminance((255, 255, 255)) == pytest.approx(1.0)
    assert relative_luminance((0, 0, 0)) == 0.0
