# SPDX-License-Identifier: MIT
"""Recall and precision against sorting by hand, and chance against random orders."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intern25.evaluation.retrieval import AtDepths, score_name_search, score_retrieval


def sorted_recall(similarities: Tensor, owner: list[int]) -> tuple[list[float], list[float]]:
    """Both directions by sorted lists, wrong ones first among equals."""
    pictures, texts = similarities.shape
    values = similarities.tolist()
    to_text, to_picture = [0, 0, 0], [0, 0, 0]
    for p in range(pictures):
        order = sorted(range(texts), key=lambda t: (-values[p][t], owner[t] == p))
        for i, k in enumerate((1, 5, 10)):
            to_text[i] += any(owner[t] == p for t in order[:k])
    for t in range(texts):
        order = sorted(range(pictures), key=lambda p: (-values[p][t], owner[t] == p))
        for i, k in enumerate((1, 5, 10)):
            to_picture[i] += owner[t] in order[:k]
    return [n / pictures for n in to_text], [n / texts for n in to_picture]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 25), st.integers(0, 30), st.integers(1, 40), st.integers(0, 2**31))
def test_recall_equals_sorting(pictures: int, more: int, levels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    extra = torch.randint(pictures, (more,), generator=generator).tolist()
    owner = [*range(pictures), *extra]
    # Few levels make many equal similarities.
    similarities = torch.randint(levels, (pictures, len(owner)), generator=generator).float()
    report = score_retrieval(similarities, owner)
    to_text, to_picture = sorted_recall(similarities, owner)
    assert dataclasses.astuple(report.image_to_text) == pytest.approx(to_text)
    assert dataclasses.astuple(report.text_to_image) == pytest.approx(to_picture)


def test_recall_by_hand() -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.2, 0.3]])
    report = score_retrieval(similarities, [0, 1, 1])
    # Picture 0 finds its text first; picture 1 prefers the text of picture 0. Text 2 prefers picture 0.
    assert report.image_to_text == AtDepths(at1=0.5, at5=1.0, at10=1.0)
    assert report.text_to_image.at1 == pytest.approx(2 / 3)
    assert report.chance_text_to_image == AtDepths(at1=0.5, at5=1.0, at10=1.0)
    assert report.chance_image_to_text.at1 == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert report.as_dict()["text_to_image"] == {"at1": pytest.approx(2 / 3), "at5": 1.0, "at10": 1.0}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 20), st.integers(0, 2**31))
def test_perfect_similarities_and_any_order_of_texts(pictures: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    owner = torch.cat([torch.arange(pictures), torch.randint(pictures, (2 * pictures,), generator=generator)])
    perfect = torch.nn.functional.one_hot(owner, pictures).T.float()
    assert score_retrieval(perfect, owner.tolist()).image_to_text.at1 == 1.0
    assert score_retrieval(perfect, owner.tolist()).text_to_image.at1 == 1.0
    random = torch.rand(perfect.shape, generator=generator)
    order = torch.randperm(len(owner), generator=generator)
    assert score_retrieval(random[:, order], owner[order].tolist()) == score_retrieval(random, owner.tolist())


def test_alike_similarities_find_nothing() -> None:
    report = score_retrieval(torch.zeros(12, 12), list(range(12)))
    assert report.image_to_text == report.text_to_image == AtDepths(at1=0.0, at5=0.0, at10=0.0)


def test_chance_is_what_random_orders_give() -> None:
    generator = torch.Generator().manual_seed(0)
    owner = [0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    reports = [score_retrieval(torch.rand(12, 15, generator=generator), owner) for _ in range(1500)]
    for direction in ("image_to_text", "text_to_image"):
        for depth in ("at1", "at5", "at10"):
            mean = math.fsum(getattr(getattr(r, direction), depth) for r in reports) / len(reports)
            chance = getattr(getattr(reports[0], f"chance_{direction}"), depth)
            assert mean == pytest.approx(chance, abs=0.012)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 25), st.integers(1, 20), st.integers(0, 2**31))
def test_precision_equals_sorting(names: int, pictures: int, levels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    similarities = torch.randint(levels, (names, pictures), generator=generator).float()
    right = torch.rand(names, pictures, generator=generator) < 0.3
    right[0, 0] = True
    report = score_name_search(similarities, right)
    expected = []
    for k in (1, 5, 10):
        shares = []
        for scores, truth in zip(similarities.tolist(), right.tolist(), strict=True):
            if any(truth):
                pairs = list(zip(scores, truth, strict=True))
                first = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:k]
                shares.append(sum(t for _, t in first) / len(first))
        expected.append(sum(shares) / len(shares))
    assert dataclasses.astuple(report.precision) == pytest.approx(expected)
    assert score_name_search(right.float(), right).precision == report.best


def test_precision_by_hand() -> None:
    similarities = torch.tensor([[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0]])
    right = torch.tensor([[True, False, True, False], [False, False, True, False], [False] * 4])
    report = score_name_search(similarities, right)
    assert (report.names, report.pictures) == (2, 4)
    assert report.precision == AtDepths(at1=0.5, at5=0.375, at10=0.375)
    assert report.best == AtDepths(at1=1.0, at5=0.375, at10=0.375)
    assert report.chance == 0.375


@pytest.mark.parametrize(
    ("similarities", "owner", "message"),
    [
        (torch.zeros(2, 3), [0, 1], r"3 texts but picture_of_text has the shape \(2,\)"),
        (torch.zeros(2, 2), [0, 2], r"0\.\.1; it has 0\.\.2"),
        (torch.zeros(2, 2), [0, -1], r"0\.\.1; it has -1\.\.0"),
        (torch.zeros(2, 2), [0, 0], "picture 1 has no text"),
        (torch.tensor([[math.nan]]), [0], "has NaN"),
        (torch.zeros(0, 3), [0], r"shape \(0, 3\)"),
    ],
)
def test_bad_input(similarities: Tensor, owner: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_retrieval(similarities, owner)


def test_bad_names() -> None:
    with pytest.raises(ValueError, match="not that of similarities"):
        score_name_search(torch.zeros(2, 3), torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="no name has a picture"):
        score_name_search(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))
