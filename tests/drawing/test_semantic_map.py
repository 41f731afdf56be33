# SPDX-License-Identifier: MIT
"""Drawn classes of pixels: colours over the picture, lines between classes, the legend."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from intern25.results import SemanticMap

PALETTE = ((200, 0, 0), (0, 0, 200), (0, 200, 0))


def result(height: int = 400, width: int = 600) -> SemanticMap:
    """Left half class 0, right half class 1, a corner without class."""
    labels = np.zeros((height, width), dtype=np.uint8)
    labels[:, width // 2 :] = 1
    labels[: height // 4, : width // 4] = 255
    return SemanticMap(
        labels=labels,
        names_en=("sky", "road", "car"),
        names_zh=("天空", "道路", "汽车"),
        palette=PALETTE,
        image=Image.new("RGB", (width, height), (100, 100, 100)),
    )


def test_colours_lie_over_the_picture() -> None:
    drawn = np.asarray(result().draw(opacity=0.5, legend=False)).astype(int)
    assert drawn.shape == (400, 600, 3)
    assert np.allclose(drawn[300, 100], (150, 50, 50), atol=2)
    assert np.allclose(drawn[300, 500], (50, 50, 150), atol=2)
    assert (drawn[10, 10] == 100).all()  # no class, no colour
    assert drawn[300, 300].sum() < drawn[300, 310].sum()  # a darker line between classes
    plain = np.asarray(result().draw(opacity=0.0, legend=False))
    assert (plain == 100).all()


def test_the_legend_is_below_and_names_what_is_there() -> None:
    drawn = np.asarray(result().draw())
    assert drawn.shape[1] == 600
    legend = drawn[400:].reshape(-1, 3)
    colors = {tuple(color) for color in legend}
    assert PALETTE[0] in colors
    assert PALETTE[1] in colors
    assert PALETTE[2] not in colors


def test_many_classes_take_rows() -> None:
    names = tuple(f"a class with a long name {k}" for k in range(40))
    labels = np.arange(40, dtype=np.uint8).repeat(30)[None].repeat(100, axis=0)
    colors = tuple((6 * k, 0, 0) for k in range(40))
    many = SemanticMap(
        labels=labels, names_en=names, names_zh=names, palette=colors, image=Image.new("RGB", (1200, 100))
    )
    drawn = many.draw()
    assert drawn.width == 1200
    assert drawn.height > 100 + 40 / 8 * 11
    last_column = np.asarray(drawn)[100:, -3:]
    assert (last_column == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (700, 2), (30, 40)])
def test_any_picture_is_drawn(size: tuple[int, int]) -> None:
    drawn = result(*size).draw()
    assert drawn.width % size[1] == 0


def test_wrong_calls() -> None:
    with pytest.raises(ValueError, match=r"opacity=1\.5"):
        result().draw(opacity=1.5)
    with pytest.raises(ValueError, match="no picture to draw"):
        dataclasses.replace(result(), image=None).draw()
