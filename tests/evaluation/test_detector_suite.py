"""Detectors of the benchmark: each runs offline, and those that are compared do the same work."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarks import schema

from intern25.evaluation.detection_work import work_of
from intern25.evaluation.detector_suite import DETECTORS
from intern25.evaluation.model_benchmark import run_model_suite

PEERS_OF_TRANSFORMERS = ("deformable_detr_resnet50", "detr_resnet50", "mask2former_swin_tiny")


@pytest.mark.parametrize("name", DETECTORS.contestants)
def test_work_of_each_detector(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in PEERS_OF_TRANSFORMERS:
        pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    contestant = DETECTORS.contestants[name]
    model = contestant.prepared(contestant.fresh(), torch.float32, training=False)
    found = work_of(model, contestant.images(1, (128, 128), torch.float32))
    regions = found.pop("regions", 0)
    assert (regions > 250) == name.startswith(("mask_rcnn", "maskrcnn"))
    if regions:
        assert found == {"boxes": 100, "masks": 100}
    else:
        assert found == ({"masks": 100} if name.startswith("mask2former") else {"boxes": 100})


def test_suite_has_a_row_per_size_and_contestant() -> None:
    names = ("mask_rcnn_internimage_nano", "mask_rcnn_internimage_nano optimized")
    sizes = ((128, 128), (128, 160))
    content = run_model_suite(DETECTORS, models=names, image_sizes=sizes, rounds=1, memory=False)
    assert schema.problems(content) == []
    assert content["suite"] == "detectors"
    cases = [(row["case"]["width"], row["contestant"]) for row in content["results"]]
    assert cases == [(width, name) for _, width in sizes for name in names]
    settings = content["settings"]
    assert list(settings["work"]) == ["128x128", "128x160"]
    assert {counts["masks"] for work in settings["work"].values() for counts in work.values()} == {100}
    assert len(set(settings["parameters"].values())) == 1  # counted before the layers were packed


def test_what_a_suite_cannot_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown models \['yolo'\].*dino_internimage_t"):
        run_model_suite(DETECTORS, models=["yolo"])
    with pytest.raises(ValueError, match=r"96x200 is too small.*128"):
        run_model_suite(DETECTORS, image_sizes=((96, 200),))
    with pytest.raises(ValueError, match=r"no pass \['train'\]"):
        run_model_suite(DETECTORS, passes=("train",))


@pytest.mark.parametrize("name", PEERS_OF_TRANSFORMERS)
def test_missing_transformers_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"intern25\[hf\]"):
        DETECTORS.contestants[name].fresh()
