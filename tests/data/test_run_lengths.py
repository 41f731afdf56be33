# SPDX-License-Identifier: MIT
"""Run lengths against COCO's own tools."""

from __future__ import annotations

import numpy as np
import pytest

from intern25.data.run_lengths import decode_mask, encode_mask, run_lengths


def shapes() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    masks = [generator.random(size) < p for size in ((1, 1), (3, 5), (40, 60)) for p in (0.0, 0.03, 0.5, 1.0)]
    disc = np.hypot(*np.mgrid[-150:150, -200:200]) < 120
    # Long runs need several characters a number, and negative differences.
    return [*masks, disc, ~disc, np.zeros((700, 900), dtype=bool), np.eye(50, dtype=bool)]


@pytest.mark.parametrize("mask", shapes(), ids=lambda mask: f"{mask.shape}-{mask.mean():.2f}")
def test_the_text_is_that_of_cocos_tools(mask: np.ndarray) -> None:
    tools = pytest.importorskip("pycocotools.mask")
    theirs = tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = encode_mask(mask)
    assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    assert np.array_equal(tools.decode(ours).astype(bool), mask)
    assert np.array_equal(decode_mask(theirs), mask)


@pytest.mark.parametrize("mask", shapes(), ids=lambda mask: f"{mask.shape}-{mask.mean():.2f}")
def test_both_forms_read_back(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask)), mask)
    runs = run_lengths(mask).tolist()
    assert np.array_equal(decode_mask({"size": list(mask.shape), "counts": runs}), mask)


def test_columns_first_and_off_first() -> None:
    assert run_lengths(np.array([[0, 1], [1, 1]])).tolist() == [1, 3]
    assert run_lengths(np.array([[1, 0], [0, 0]])).tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    "broken",
    [
        {"size": [2, 2], "counts": "14"},
        {"size": [2, 2], "counts": "1\x7f"},
        {"size": [2, 2], "counts": "Q"},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
    ],
)
def test_damaged_runs_are_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="run"):
        decode_mask(broken)


def test_a_mask_has_two_axes() -> None:
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        encode_mask(np.zeros((1, 2, 3)))
