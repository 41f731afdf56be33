"""Segmenters of the benchmark: each runs offline and returns scores of the image's size."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarks import schema

from intern25.evaluation.model_benchmark import run_model_suite
from intern25.evaluation.segmenter_suite import SEGMENTERS

PEERS = ("upernet_convnext_tiny", "upernet_swin_tiny")


@pytest.mark.parametrize("name", SEGMENTERS.contestants)
def test_scores_of_each_segmenter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in PEERS:
        pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    contestant = SEGMENTERS.contestants[name]
    model = contestant.prepared(contestant.fresh(), torch.float32, training=False)
    with torch.inference_mode():
        scores = model(contestant.images(1, (64, 96), torch.float32))
    assert scores.shape == (1, 150, 64, 96)
    assert scores.isfinite().all()


def test_suite_takes_ratios_to_the_first_where_the_baseline_is_absent() -> None:
    names = ("upernet_internimage_nano", "upernet_internimage_nano optimized")
    content = run_model_suite(SEGMENTERS, models=names, image_sizes=((64, 64),), rounds=1, memory=False)
    assert schema.problems(content) == []
    assert [row["contestant"] for row in content["results"]] == list(names)
    assert {row["ratio_to"] for row in content["results"]} == {names[0]}
    assert content["settings"]["work"] == {}


@pytest.mark.parametrize("name", PEERS)
def test_missing_transformers_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"intern25\[hf\]"):
        SEGMENTERS.contestants[name].fresh()
