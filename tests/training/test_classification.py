"""A run learns, freezes, starts from other weights, writes files that work, and refuses what cannot work."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from intern25.backbones import INTERNIMAGE_NANO, InternImageClassifier
from intern25.data.images import read_image
from intern25.evaluation.classification import evaluate_dataset
from intern25.training.classification import names_of, prepare_data, train
from intern25.training.config import TrainConfig
from intern25.training.freezing import freeze, keep_frozen
from intern25.training.optimizer import build_optimizer
from intern25.training.parameter_rules import parameter_rules
from intern25.training.recipes import recipe_inaturalist, recipe_official, recipe_small
from intern25.weights.create import create_model
from intern25.weights.files import read_metadata
from tests.training.conftest import CLASSES, picture


class Collected:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.updates: list[int] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def progress(self, update: int, num_updates: int, values: object) -> None:
        self.updates.append(update)

    def close(self) -> None:
        self.messages.append("closed")


def overfitting(config: TrainConfig) -> TrainConfig:
    return replace(
        config,
        epochs=8,
        batch_size=8,
        base_lr=6e-2,
        mixup=0.0,
        cutmix=0.0,
        label_smoothing=0.0,
        augmentation="none",
        drop_path=0.0,
        ema_decay=0.0,
        save_every_minutes=60.0,
        eval_every=8,
        log_every=3,
    )


def test_run_learns_and_its_files_work(config: TrainConfig) -> None:
    reporter = Collected()
    config = replace(overfitting(config), tensorboard=True)
    result = train(config, reporter=reporter)
    assert result.finished
    assert result.updates == 24 == reporter.updates[-1]
    # Three colours, told apart by the mean of a channel.
    assert result.best_top1 >= 8 / 9
    assert reporter.messages[-1] == "closed"
    assert "24 training and 9 validation images of 3 classes (8 to 8 images a class)" in reporter.messages[0]

    folder = result.output
    assert any((folder / "tensorboard").iterdir())
    assert TrainConfig.from_json((folder / "config.json").read_text()) == config
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    assert losses[0] == pytest.approx(1.1, abs=0.2)  # ln 3
    assert losses[-1] < 0.3
    assert [row["epoch"] for row in rows if row["kind"] == "val"] == [8]

    metadata = read_metadata(folder / "best.safetensors")
    assert metadata.classes is not None
    assert metadata.classes.en == CLASSES
    assert metadata.preprocessing is not None
    assert metadata.preprocessing.image_size == 32
    # A weight file says how it was made, not where: it is passed on.
    assert json.loads(metadata.extra["train_config"])["data"] == "colours.zip"
    assert str(folder) not in metadata.extra["train_config"]
    model = create_model("internimage_nano", pretrained=folder / "best.safetensors")
    report = evaluate_dataset(model, config.data, metadata.preprocessing, confusion=True)
    assert report.top1 == pytest.approx(result.best_top1)
    assert report.confusion is not None
    model.eval()
    with torch.inference_mode():
        logits = model(metadata.preprocessing(read_image(picture(2, 99)))[None])
    assert CLASSES[int(logits.argmax())] == "red"


def test_other_class_count_gives_a_fresh_head(config: TrainConfig, tmp_path: Path) -> None:
    start = InternImageClassifier(INTERNIMAGE_NANO, num_classes=7)
    torch.save(start.state_dict(), tmp_path / "start.pth")
    config = replace(
        config, pretrained=str(tmp_path / "start.pth"), freeze="backbone", epochs=1, ema_decay=0.0
    )
    result = train(config)
    trained = load_file(result.output / "final.safetensors")
    assert trained["classifier.weight"].shape[0] == 3
    for name, tensor in start.backbone.state_dict().items():
        assert torch.equal(trained[f"backbone.{name}"], tensor), name
    assert not torch.equal(trained["head.conv.weight"], start.head.conv.weight)
    with pytest.raises(ValueError, match="7"):
        train(replace(config, class_mismatch="error", output=str(tmp_path / "other")))


def test_averaged_batch_statistics_go_with_averaged_weights(config: TrainConfig) -> None:
    result = train(replace(config, epochs=1, ema_decay=0.5))
    state = torch.load(result.output / "last.ckpt", weights_only=True)
    final = load_file(result.output / "final.safetensors")
    for name in ("head.norm.running_mean", "head.norm.running_var"):
        assert torch.equal(final[name], state["ema"][name])
        assert not torch.equal(state["ema"][name], state["model"][name])


@pytest.mark.parametrize(("what", "stages"), [("none", 0), (0, 0), (2, 2), (4, 4), ("backbone", 4)])
def test_frozen_stages_do_not_move(what: str | int, stages: int) -> None:
    model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=3)
    frozen = freeze(model, what)  # type: ignore[arg-type]
    model.train()
    keep_frozen(frozen)
    backbone = model.backbone
    for index, stage in enumerate(backbone.stages):
        assert stage.training == (index >= stages)
        assert all(p.requires_grad == (index >= stages) for p in stage.parameters())
    assert all(p.requires_grad == (what == "none") for p in backbone.stem.parameters())
    # The down-sampling between two frozen stages is frozen, the one behind them is not.
    for index, downsample in enumerate(backbone.downsamples):
        assert all(p.requires_grad == (index + 1 >= stages) for p in downsample.parameters())
    optimizer = build_optimizer(model, parameter_rules(model, weight_decay=0.05), lr=1e-3)
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert optimized == {id(p) for p in model.parameters() if p.requires_grad}


def test_freezing_refuses_nonsense() -> None:
    model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=3)
    with pytest.raises(ValueError, match="number of stages from 0 to 4"):
        freeze(model, 5)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        build_optimizer(model, parameter_rules(model, weight_decay=0.05), lr=1e-3)


def test_extra_norms_and_gates_have_their_own_rates() -> None:
    config = replace(
        INTERNIMAGE_NANO, block_norm="res_post", center_feature_scale=True, extra_norm_blocks=(2, 5)
    )
    model = InternImageClassifier(config, num_classes=3)
    rules = {
        rule.name: rule for rule in parameter_rules(model, weight_decay=0.1, layer_decay=0.5, dcn_lr_mul=0.1)
    }
    assert rules["backbone.stages.2.extra_norms.5.weight"].lr_scale == 1.0
    assert rules["backbone.stages.3.norm.weight"].lr_scale == 1.0
    block = "backbone.stages.2.blocks.5.dcn.function"  # two blocks before the last
    assert rules[f"{block}.mask.weight"].lr_scale == pytest.approx(0.25)
    assert rules[f"{block}.offset.bias"].lr_scale == pytest.approx(0.025)
    assert rules[f"{block}.center_feature_scale.weight"].lr_scale == pytest.approx(0.025)
    assert rules[f"{block}.offset.weight"].weight_decay == 0.1
    assert rules[f"{block}.offset.bias"].weight_decay == 0.0


def test_bad_images_stop_a_run_or_are_left_out(config: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(config.data) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(
                name, data[:200] if name.endswith(("train/red/03.jpg", "val/blue/09.jpg")) else data
            )
    config = replace(config, data=str(path))
    with pytest.raises(ValueError, match=r"1 of 24 images cannot be read(?s:.*)train/red/03.jpg"):
        train(config)
    assert not Path(config.output).exists()
    splits, bad = prepare_data(replace(config, skip_bad=True))
    assert [image.name for image in bad] == ["train/red/03.jpg", "val/blue/09.jpg"]
    assert splits.train.class_counts() == [8, 8, 7]
    assert len(splits.val) == 8


@pytest.mark.parametrize("cache", ["none", "bytes", "decoded"])
def test_caches_hold_the_same_images(config: TrainConfig, cache: str) -> None:
    splits, _ = prepare_data(replace(config, cache=cache))  # type: ignore[arg-type]
    data = splits.train.read(3)
    actual = Image.fromarray(data) if cache == "decoded" else read_image(data)
    assert actual.tobytes() == read_image(picture(0, 3)).tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"base_lr": float("nan")}, "base_lr=nan must be at least 0"),
        ({"mix_probability": 1.5}, "must lie between 0 and 1"),
        ({"layer_decay": 0.0}, r"must lie in \(0, 1\]"),
        ({"progressive": ((20, 64), (10, 96))}, "rising epochs"),
        ({"progressive": ((20, 16),)}, "sizes of at least 32"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TrainConfig(), **changes)


def test_runs_that_cannot_start_are_refused(config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="no data"):
        train(replace(config, data=""))
    with pytest.raises(ValueError, match="ema_decay=0"):
        train(replace(config, parallel="fsdp"))
    with pytest.raises(ValueError, match="internimage_nan"):
        train(replace(config, model="internimage_nan"))
    assert not Path(config.output).exists()


def test_sizes_follow_the_epochs() -> None:
    config = replace(TrainConfig(), epochs=6, progressive=((2, 64), (4, 96)), image_size=112)
    assert config.sizes == (64, 64, 96, 96, 112, 112)
    assert TrainConfig.from_json(config.to_json()) == config


def test_recipes_are_the_published_ones() -> None:
    t, large = recipe_official("internimage_t"), recipe_official("internimage_l", layer_decay=True)
    assert (t.epochs, t.warmup_epochs, t.base_lr, t.drop_path, t.mixup) == (300, 20, 5e-4, 0.1, 0.8)
    assert (large.epochs, large.base_lr, large.label_smoothing, large.layer_decay) == (20, 2e-5, 0.3, 0.9)
    assert (large.image_size, large.mixup, large.erase, large.warmup_lr) == (384, 0.0, 0.0, 0.0)
    assert recipe_inaturalist().drop_path == 0.6
    assert recipe_small(data="x").model == "internimage_nano"
    with pytest.raises(ValueError, match="there are recipes for internimage_t"):
        recipe_official("internimage_nano")


def test_known_data_get_chinese_names() -> None:
    assert names_of(("airplane", "automobile")).zh == ("airplane", "automobile")
    cifar = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert names_of(cifar).zh[3] == "猫"
