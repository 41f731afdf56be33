# SPDX-License-Identifier: MIT
"""Tiles cover, overlap and say which finds are one object."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from intern25.data.tiling import certainty, is_cut, same_objects, tile_side, tiles


@pytest.mark.parametrize(
    ("size", "side"),
    [((100, 100), 100), ((99, 40), 100), ((101, 350), 100), ((1000, 777), 64), ((5, 2000), 300)],
)
def test_tiles_cover_everything_and_overlap(size: tuple[int, int], side: int) -> None:
    parts = tiles(size, side)
    seen = np.zeros(size, dtype=int)
    for part in parts:
        assert 0 <= part.left < part.right <= size[1]
        assert 0 <= part.top < part.bottom <= size[0]
        assert part.size == (min(side, size[0]), min(side, size[1]))
        seen[part.top : part.bottom, part.left : part.right] += 1
    assert seen.min() == 1
    starts = sorted({part.left for part in parts})
    assert all(a + side - b >= 0.2 * side - 1 for a, b in itertools.pairwise(starts))


def test_who_is_tiled() -> None:
    usual = {"long_side": 1333, "short_side": 800}
    assert tile_side((3000, 4000), None, **usual) is None
    assert tile_side((3000, 6000), None, **usual) == 1600
    assert tile_side((3000, 6000), 0, **usual) is None
    assert tile_side((300, 600), 200, **usual) == 200
    assert tile_side((300, 600), 600, **usual) is None


def test_certainty_falls_towards_inner_borders_only() -> None:
    left, right = tiles((50, 180), 100)
    sure = certainty(left, (50, 180))
    assert (sure[:, :80] == 1).all()
    assert np.allclose(sure[0, 80:], (20 - np.arange(20) - 0.5) / 20)
    assert (certainty(right, (50, 180))[:, -80:] == 1).all()
    # Where both see a pixel, one of them is sure enough to decide.
    assert (np.maximum(sure[:, 80:], certainty(right, (50, 180))[:, :20]) >= 0.5).all()


def test_cut_boxes() -> None:
    areas = np.array([[0, 0, 100, 100]] * 4, dtype=float)
    boxes = np.array([[0, 0, 50, 50], [60, 10, 99.5, 50], [10, 60, 50, 100], [10, 10, 20, 20]], dtype=float)
    # The picture goes on to the right, not below.
    assert is_cut(boxes, areas, (100, 180)).tolist() == [False, True, False, False]


LEFT, RIGHT = [0, 0, 100, 100], [80, 0, 180, 100]


def groups(*rows: tuple[list[float], int, int]) -> list[list[int]]:
    """Groups of (box, class, tile 0 or 1)."""
    boxes = np.array([box for box, _, _ in rows], dtype=float)
    labels, views = np.array([label for _, label, _ in rows]), np.array([view for _, _, view in rows])
    return same_objects(boxes, labels, views, np.array([LEFT, RIGHT], dtype=float)[views])


def test_parts_that_agree_in_the_common_zone_are_one() -> None:
    assert groups(([40, 20, 100, 60], 0, 0), ([80, 21, 150, 60], 0, 1)) == [[0, 1]]
    assert groups(([85, 20, 95, 60], 0, 0), ([85, 21, 95, 60], 0, 1)) == [[0, 1]]


def test_what_does_not_agree_stays_apart() -> None:
    assert groups(([40, 20, 100, 60], 0, 0), ([80, 21, 150, 60], 1, 1)) == [[0], [1]]  # classes
    assert groups(([40, 20, 100, 60], 0, 0), ([80, 70, 150, 90], 0, 1)) == [[0], [1]]  # rows
    assert groups(([10, 20, 50, 60], 0, 0), ([120, 20, 150, 60], 0, 1)) == [[0], [1]]  # no common zone
    assert groups(([10, 20, 50, 60], 0, 0), ([12, 22, 50, 60], 0, 0)) == [[0], [1]]  # one tile


def test_one_find_does_not_join_two_of_one_tile() -> None:
    found = groups(([82, 20, 98, 60], 0, 0), ([82, 30, 98, 62], 0, 0), ([82, 22, 98, 60], 0, 1))
    assert found == [[0, 2], [1]]


def test_nothing_found() -> None:
    empty = np.zeros((0, 4))
    assert same_objects(empty, np.zeros(0, dtype=int), np.zeros(0, dtype=int), empty) == []
