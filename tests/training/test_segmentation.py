"""Segmenters learn, stop and go on, and refuse what cannot work."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from intern25.evaluation.semantic import evaluate_segmentation
from intern25.segmentation.segmenter import Segmenter
from intern25.segmentation.upernet import UperNet
from intern25.training.segmentation import balanced_weights, prepare_segmentation_data, train_segmenter
from intern25.training.segmentation_config import SegmentationTrainConfig
from intern25.weights.create import create_model
from intern25.weights.files import read_metadata
from tests.training.shapes import SHAPES, write_segmentation
from tests.training.test_classification import Collected
from tests.training.test_resume import log_of


class ColourSegmenter(Segmenter):
    """Three convolutions, enough to tell colours apart."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 4, 3, 1, 1)
        )

    @property
    def num_classes(self) -> int:
        return 4

    def scores(self, images: Tensor) -> Tensor:
        return self.layers(images)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, targets: Tensor | None = None) -> Any:
        scores = F.interpolate(self.scores(images), size=images.shape[-2:], mode="bilinear")
        return scores if targets is None else {"ce": F.cross_entropy(scores, targets, ignore_index=255)}


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segmentation(tmp_path_factory.mktemp("masks") / "shapes.zip")


@pytest.fixture
def config(shapes: Path, tmp_path: Path) -> SegmentationTrainConfig:
    """Eight epochs of six updates."""
    return SegmentationTrainConfig(
        data=str(shapes),
        output=str(tmp_path / "run"),
        epochs=8,
        batch_size=4,
        base_lr=0.12,
        warmup_updates=5,
        crop=(96, 128),
        scale=(0.8, 1.25),
        short_side=96,
        long_side=128,
        photometric=0.0,
        cache="decoded",
        workers=0,
        log_every=1,
        eval_every=8,
        tensorboard=False,
        device="cpu",
    )


def test_colours_are_learnt(config: SegmentationTrainConfig) -> None:
    torch.manual_seed(0)
    reporter = Collected()
    result = train_segmenter(replace(config, ema_decay=0.8), model=ColourSegmenter(), reporter=reporter)
    assert result.finished
    assert reporter.messages[0] == "24 training and 8 validation pictures of 4 classes"
    rows = log_of(result.output)
    assert len(rows) == 48
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert result.best_score == result.metrics["mean_iou"] > 0.6
    assert load_file(result.output / "best.safetensors").keys() == ColourSegmenter().state_dict().keys()


def test_stopped_run_ends_as_the_untouched_one(config: SegmentationTrainConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=2, eval_every=2, ema_decay=0.8)
    results = []
    for output, limit in (("whole", 0.0), ("parts", 1e-3)):
        run = replace(config, output=str(tmp_path / output), save_every_minutes=60.0)
        for _ in range(4 if limit else 0):
            torch.manual_seed(0)
            assert not train_segmenter(replace(run, max_seconds=limit), model=ColourSegmenter()).finished
        torch.manual_seed(0)
        results.append(train_segmenter(run, model=ColourSegmenter()))
    whole, parts = results
    assert [row["loss"] for row in log_of(parts.output)] == [row["loss"] for row in log_of(whole.output)]
    assert parts.metrics == whole.metrics
    left, right = (load_file(r.output / "final.safetensors") for r in results)
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_files_of_an_upernet_work(config: SegmentationTrainConfig) -> None:
    config = replace(
        config,
        updates=2,
        batch_size=2,
        base_lr=1e-3,
        optimizer="muon",
        pretrained_backbone="internimage_nano_caltech101",
        class_balance=0.5,
        dice_weight=0.5,
        precision="bf16",
        freeze=2,
    )
    result = train_segmenter(config)
    best = result.output / "best.safetensors"
    metadata = read_metadata(best)
    assert metadata.classes is not None
    assert metadata.classes.en == ("background", *SHAPES)
    assert json.loads(metadata.extra["train_config"])["output"] == ""
    model = create_model("upernet_internimage_nano", pretrained=best)
    assert isinstance(model, UperNet)
    start = create_model("internimage_nano_caltech101", pretrained=True)
    assert torch.equal(model.backbone.stem.conv1.weight, start.backbone.stem.conv1.weight)  # type: ignore[union-attr]
    splits, _ = prepare_segmentation_data(config)
    report = evaluate_segmentation(model, splits.val, metadata.preprocessing)  # type: ignore[arg-type]
    # The run scored under bfloat16.
    assert report.mean_iou == pytest.approx(result.metrics["mean_iou"], abs=0.05)
    weights = metadata.config.class_weights  # type: ignore[union-attr]
    assert weights == balanced_weights(splits.train.pixel_counts(), 0.5)
    assert weights[0] < 1 < weights[1]  # background is frequent


@pytest.mark.slow
def test_upernet_learns_the_shapes(config: SegmentationTrainConfig) -> None:
    config = replace(config, epochs=20, eval_every=20, base_lr=8e-3, optimizer="muon", clip=1.0)
    result = train_segmenter(replace(config, pretrained_backbone="internimage_nano_caltech101"))
    assert result.metrics["mean_iou"] > 0.7


def test_balanced_weights() -> None:
    assert balanced_weights([10, 10], 0.5) == (1.0, 1.0)
    assert balanced_weights([90, 10], 0.0) == (1.0, 1.0)
    weights = balanced_weights([90, 10], 1.0)
    # Each class counts the same, and the mean over pixels is 1.
    assert weights == pytest.approx((0.5556, 5.0), abs=1e-3)
    assert balanced_weights([10_000_000, 1, 0], 1.0) == pytest.approx((0.5, 10.0, 10.0), abs=1e-3)


def test_defects_are_listed_before_training_starts(config: SegmentationTrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(config.data) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            broken = name.endswith(("images/train/3.png", "masks/train/5.png"))
            target.writestr(name, data[:200] if broken else data)
    config = replace(config, data=str(path))
    with pytest.raises(ValueError, match=r"(?s)2 defects.*train/3\.png.*train/5\.png"):
        train_segmenter(config, model=ColourSegmenter())
    assert not Path(config.output).exists()
    reporter = Collected()
    result = train_segmenter(
        replace(config, skip_bad=True, updates=1), model=ColourSegmenter(), reporter=reporter
    )
    assert len(result.defects) == 2
    assert reporter.messages[0].startswith("22 training")
    assert reporter.messages[1].startswith("left out: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ""}, "no data"),
        ({"model": "dino_internimage_nano"}, "is no model for segmentation"),
        ({"format": "ade"}, "unknown format 'ade'"),
        ({"batch_size": 1}, "batch_size=1 is too small for upernet_internimage_nano"),
        ({"model": "mask2former_internimage_h_nyu40", "class_balance": 0.5}, "for upernet and segformer"),
    ],
)
def test_runs_that_cannot_start(
    config: SegmentationTrainConfig, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "class_balance" in changes:  # do not build the billion parameters
        from intern25.training import segmentation

        monkeypatch.setattr(segmentation, "starting_model", lambda *_: _WithConfig())
    with pytest.raises(ValueError, match=message):
        train_segmenter(replace(config, **changes))
    assert not Path(config.output).exists()


class _WithConfig(nn.Module):
    config = object()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": (16, 64)}, "at least 32 pixels"),
        ({"short_side": 900, "long_side": 800}, "at least short_side"),
        ({"class_balance": -1.0}, "must be at least 0"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationTrainConfig(**changes)
