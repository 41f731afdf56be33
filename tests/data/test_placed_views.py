# SPDX-License-Identifier: MIT
"""Views that know where they were cut, checked on pictures whose colours are their coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.data.placed_views import PlacedViews, placed_in, places_tensor
from intern25.generalist.places import cell_boxes

SIDE = 128


def coordinates() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Red grows with x and green with y, one a pixel."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack((x, y, np.zeros_like(x)), axis=-1).astype(np.uint8)


def grid(rows: int, columns: int) -> Tensor:
    return cell_boxes((rows, columns), torch.zeros((), dtype=torch.float64))


@pytest.mark.parametrize("seed", range(6))
def test_the_place_is_where_the_pixels_come_from(seed: int) -> None:
    views = PlacedViews(size=(64, 96), min_scale=0.2, jitter=0.0, grey=0.0)
    pixels, place = views(coordinates(), seed)
    x0, y0, x1, y1, mirrored = place
    for row, column in ((3, 5), (40, 90), (60, 30)):
        across = (column + 0.5) / 96
        x = x0 + (1 - across if mirrored else across) * (x1 - x0)
        y = y0 + (row + 0.5) / 64 * (y1 - y0)
        # The centre of pixel k is at k + 0.5; rounding and resampling move a value by one or so.
        assert abs(float(pixels[0, row, column]) - (x - 0.5)) <= 1.5
        assert abs(float(pixels[1, row, column]) - (y - 0.5)) <= 1.5


def test_both_mirrored_and_not_are_drawn_and_repeat() -> None:
    views = PlacedViews(size=(32, 32))
    found = [views(coordinates(), seed) for seed in range(20)]
    assert {view.place[4] for view in found} == {0.0, 1.0}
    again = views(coordinates(), 7)
    assert torch.equal(again.pixels, found[7].pixels)
    assert again.place == found[7].place


@pytest.mark.parametrize("seed", range(4))
def test_a_cell_of_one_view_is_found_in_another(seed: int) -> None:
    """What a cell shows, read off its colour, is at the place that the frame gives it."""
    views = PlacedViews(size=(64, 64), min_scale=0.3, jitter=0.0, grey=0.0)
    view, frame = views(coordinates(), seed), views(coordinates(), seed + 100)
    boxes = placed_in(grid(4, 4), places_tensor([view]).double(), places_tensor([frame]).double())[0]
    x0, y0, x1, y1, mirrored = frame.place
    for cell in range(16):
        row, column = divmod(cell, 4)
        block = (
            view.pixels[:2, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].double().mean((1, 2))
        )
        x = (float(block[0]) + 0.5 - x0) / (x1 - x0)
        y = (float(block[1]) + 0.5 - y0) / (y1 - y0)
        assert float(boxes[cell, 0]) == pytest.approx(1 - x if mirrored else x, abs=0.02)
        assert float(boxes[cell, 1]) == pytest.approx(y, abs=0.02)
        assert float(boxes[cell, 2]) == pytest.approx(0.25 * (view.place[2] - view.place[0]) / (x1 - x0))


PLACES = st.tuples(
    st.floats(0, 50), st.floats(0, 50), st.floats(10, 80), st.floats(10, 80), st.sampled_from([0.0, 1.0])
).map(lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3], v[4]))


@given(PLACES, PLACES)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_there_and_back(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, b = (torch.tensor([place], dtype=torch.float64) for place in (first, second))
    boxes = grid(2, 3)
    torch.testing.assert_close(placed_in(boxes, a, a)[0], boxes)
    there = placed_in(boxes, a, b)[0]
    torch.testing.assert_close(placed_in(there, b, a)[0], boxes, rtol=1e-9, atol=1e-9)


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="min_scale=0"):
        PlacedViews(size=(64, 64), min_scale=0.0)
    with pytest.raises(ValueError, match="each 32 pixels or more"):
        PlacedViews(size=(16, 64))
