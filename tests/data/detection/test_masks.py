"""Masks against COCO's own tools, and broken ones against their messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intern25.data.detection.masks import (
    MaskError,
    decode_mask,
    fill_polygon,
    mask_box,
    segmentation_json,
    stored_mask,
)
from intern25.data.run_lengths import encode_mask

oracle = pytest.importorskip("pycocotools.mask", reason="pycocotools is the oracle")
BITS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))


@given(BITS)
@settings(max_examples=100, deadline=None)
def test_run_lengths_come_back(pixels: np.ndarray) -> None:
    stored = stored_mask(encode_mask(pixels), pixels.shape)
    assert stored is not None
    np.testing.assert_array_equal(decode_mask(stored, pixels.shape), pixels)
    expected = oracle.encode(np.asfortranarray(pixels.astype(np.uint8)))
    assert segmentation_json(stored)["counts"] == expected["counts"].decode()


@given(BITS)
@settings(max_examples=50, deadline=None)
def test_uncompressed_run_lengths_are_compressed(pixels: np.ndarray) -> None:
    flat = pixels.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *([0] if flat[0] else []), *edges, len(flat)]).tolist()
    stored = stored_mask({"size": list(pixels.shape), "counts": counts}, pixels.shape)
    assert stored == encode_mask(pixels)


@given(
    st.lists(
        st.tuples(st.floats(-20, 60, allow_nan=False), st.floats(-20, 60, allow_nan=False)),
        min_size=3,
        max_size=12,
    ),
    st.integers(1, 40),
    st.integers(1, 40),
)
@settings(max_examples=300, deadline=None)
def test_polygons_fill_as_coco_fills_them(points: list[tuple[float, float]], height: int, width: int) -> None:
    ring = np.array(points).reshape(-1)
    expected = oracle.decode(oracle.merge(oracle.frPyObjects([ring.tolist()], height, width)))
    np.testing.assert_array_equal(fill_polygon(ring, (height, width)), expected.astype(bool))


def test_rings_of_one_object_are_joined() -> None:
    rings = [[1, 1, 9, 1, 9, 9, 1, 9], [5, 5, 18, 5, 18, 18, 5, 18]]
    stored = stored_mask(rings, (20, 24))
    expected = oracle.decode(oracle.merge(oracle.frPyObjects(rings, 20, 24))).astype(bool)
    np.testing.assert_array_equal(decode_mask(stored, (20, 24)), expected)
    assert segmentation_json(stored) == rings
    assert mask_box(expected) == (1.0, 1.0, 18.0, 18.0)


def test_nothing_is_no_mask() -> None:
    assert stored_mask(None, (4, 4)) is stored_mask([], (4, 4)) is None
    assert segmentation_json(None) == []
    assert mask_box(np.zeros((4, 4), dtype=bool)) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ("abc", "a list of polygons or an RLE object, not str"),
        ([1, 2, 3, 4, 5, 6], "its first item is no list"),
        ([[1, 2, 3, 4]], "at least 3 points, x and y for each: it has 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "it has 7 numbers"),
        ([[1, 2, 3, 4, 5, "x"]], "something else than numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "NaN or infinite"),
        ({"size": [4, 4], "counts": [3, 4]}, "sum to 7, but 4 x 5 pixels are 20"),
        ({"size": [5, 4], "counts": [20]}, r"of size \[5, 4\] \(height, width\) but the picture is \[4, 5\]"),
        ({"size": [4, 5], "counts": [30, -10]}, "sum to 20"),
        ({"size": [4, 5], "counts": [1.5, 18.5]}, "neither a list of whole numbers nor a string"),
        ({"size": [4, 5], "counts": None}, "neither a list of whole numbers nor a string"),
        ({"size": [4, 5], "counts": "~~"}, "counts are broken"),
        ({"size": [4, 5], "counts": "o"}, "counts are broken"),
        ({"size": [4, 5], "counts": "é"}, "counts are broken"),
        ({"counts": [20]}, "of size None"),
    ],
)
def test_broken_masks_say_what_is_wrong(segmentation: Any, message: str) -> None:
    size = (4, 5)
    if isinstance(segmentation, dict) and segmentation.get("size") == [4, 4]:
        segmentation = {**segmentation, "size": [4, 5]}
    with pytest.raises(MaskError, match=message):
        stored_mask(segmentation, size)
