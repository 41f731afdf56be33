"""One training step, parameter groups and schedule against the official code's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from intern25.backbones import (
    INTERNIMAGE_G,
    INTERNIMAGE_H,
    INTERNIMAGE_L,
    INTERNIMAGE_T,
    InternImageClassifier,
    InternImageConfig,
)
from intern25.data.loader import ImageBatch
from intern25.training.freezing import set_drop_path
from intern25.training.objectives import ClassificationObjective, smooth_one_hot
from intern25.training.optimizer import build_optimizer
from intern25.training.parameter_rules import parameter_rules
from intern25.training.schedule import CosineSchedule
from intern25.weights.adapters.official import name_table
from tests.goldens import weights

pytestmark = pytest.mark.shared

GROUPS: dict[str, InternImageConfig] = {
    "t": INTERNIMAGE_T,
    "t_lr_layer_decay0.9_dcn0.1": INTERNIMAGE_T,
    "l": INTERNIMAGE_L,
    "h": INTERNIMAGE_H,
    "g": INTERNIMAGE_G,
}


def read(root: Path, name: str) -> dict[str, Any]:
    path = root / "goldens" / "train" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is kept back")
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", GROUPS)
def test_parameter_groups_are_the_official_ones(shared_root: Path, name: str) -> None:
    golden, config = read(shared_root, f"param_groups_cls_{name}"), GROUPS[name]
    with torch.device("meta"):
        model = InternImageClassifier(config)
    table = name_table(config)
    decay = golden["ratio"] if golden["lr_layer_decay"] else 1.0
    multiplier = 1.0 if golden["dcn_lr_mul"] is None else golden["dcn_lr_mul"]
    rules = parameter_rules(
        model, weight_decay=golden["weight_decay"], layer_decay=decay, dcn_lr_mul=multiplier
    )
    ours = {rule.name: (rule.lr_scale, rule.weight_decay) for rule in rules}
    expected = {table.to_ours(row[0]): (row[1], row[2]) for row in golden["tensors"]}
    assert ours.keys() == expected.keys()
    for parameter, (scale, weight_decay) in expected.items():
        assert ours[parameter] == (pytest.approx(scale, rel=1e-12), weight_decay), parameter


@pytest.mark.parametrize("name", ["t", "l", "h", "g"])
def test_drop_path_rises_as_officially(shared_root: Path, name: str) -> None:
    golden, config = read(shared_root, f"param_groups_cls_{name}"), GROUPS[name]
    with torch.device("meta"):
        model = InternImageClassifier(replace(config, drop_path=0.0))
    expected = {row[0]: row[1] for row in golden["drop_path"]}
    set_drop_path(model, max(expected.values()))
    for stage, blocks in enumerate(model.backbone.stages):
        for index, block in enumerate(blocks.blocks):
            rate = expected.get(f"levels.{stage}.blocks.{index}.drop_path", 0.0)
            # The official rates come from a float32 linspace.
            assert block.dcn.drop_path.rate == block.mlp.drop_path.rate == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("name", ["internimage_t_1k_224", "internimage_h_22kto1k_640"])
def test_schedule_is_the_official_one(shared_root: Path, name: str) -> None:
    golden = read(shared_root, "lr_schedule")[name]
    steps = golden["steps_per_epoch"]
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in golden["base_lrs"]]
    optimizer = torch.optim.SGD(groups)
    schedule = CosineSchedule(
        optimizer,
        num_updates=golden["epochs"] * steps,
        warmup_updates=golden["warmup_epochs"] * steps,
        warmup_lr=golden["warmup_lr"],
        min_lr=golden["min_lr"],
    )
    # Backwards: a resumed run may ask for any update first.
    for update, *expected in reversed(golden["points"]):
        schedule.set(update)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_step_equals_the_official_step(shared_root: Path, dtype: torch.dtype) -> None:
    golden = read(shared_root, "cls_t_step")
    manifest = json.loads((shared_root / "goldens" / "cls" / "t.json").read_text())
    arrays = np.load(shared_root / "goldens" / "train" / "cls_t_step.npz")
    exact = dtype == torch.float64
    config = replace(INTERNIMAGE_T, drop_path=0.0)
    table = name_table(config)
    model = InternImageClassifier(config).to(dtype)
    values = {n: torch.from_numpy(np.asarray(weights.tensor_for(n, s))) for n, s, _ in manifest["tensors"]}
    model.load_state_dict({table.to_ours(n): v for n, v in values.items()})
    images = torch.from_numpy(weights.input_for("train_t", (2, 3, 96, 96))).to(dtype)
    targets = torch.tensor(golden["labels"])
    model.train()
    logits = model(images)
    tolerance = {"rtol": 0.0, "atol": 2e-6 if exact else 1e-4}
    torch.testing.assert_close(logits.double(), torch.from_numpy(arrays["logits"]).double(), **tolerance)

    relative = 1e-5 if exact else 1e-3
    soft = smooth_one_hot(targets, 1000, 0.1).to(dtype)
    losses = golden["losses"]
    assert F.cross_entropy(logits, soft).item() == pytest.approx(
        losses["label_smoothing_ce_0p1"], rel=relative
    )
    assert F.cross_entropy(logits, targets).item() == pytest.approx(losses["cross_entropy"], rel=relative)
    hard = smooth_one_hot(targets, 1000, 0.0)
    mixed = 0.9 * (0.7 * hard + 0.3 * hard.flip(0)) + 0.1 / 1000
    assert F.cross_entropy(logits, mixed.to(dtype)).item() == pytest.approx(
        losses["soft_target_ce"], rel=relative
    )

    F.cross_entropy(logits, soft).backward()
    named = dict(model.named_parameters())
    zero = {table.to_ours(name) for name in golden["mathematically_zero_gradients"]}
    expected = {table.to_ours(name): norm for name, norm in golden["grad_norms"].items()}
    assert named.keys() == expected.keys()
    for name, norm in expected.items():
        if name not in zero:
            relative = 1e-5 if exact else 1e-2
            assert named[name].grad.norm().item() == pytest.approx(norm, rel=relative), name
    norm = model.head.norm
    statistics = {"rtol": 1e-5 if exact else 1e-3, "atol": 1e-6 if exact else 1e-4}
    for ours, key in ((norm.running_mean, "bn_running_mean"), (norm.running_var, "bn_running_var")):
        torch.testing.assert_close(ours.double(), torch.from_numpy(arrays[key]).double(), **statistics)

    build_optimizer(model, parameter_rules(model, weight_decay=0.05), lr=5e-4).step()
    for name, norm_after in golden["param_norm_after_step"].items():
        # The first step moves every entry by the learning rate along the sign of its gradient: entries whose
        # gradient is rounding noise may go the other way, in zero-gradient tensors all of them.
        if table.to_ours(name) not in zero:
            relative = 1e-6 if exact else 1e-4
            actual = named[table.to_ours(name)].norm().item()
            assert actual == pytest.approx(norm_after, rel=relative), name


def test_objective_is_the_smoothed_cross_entropy() -> None:
    logits = torch.randn(4, 7)
    targets = torch.tensor([0, 6, 3, 3])
    batch = ImageBatch(torch.zeros(4, 3, 8, 8), targets, torch.arange(4), torch.zeros(4, dtype=torch.long))
    model = torch.nn.Module()
    model.forward = lambda images: logits  # type: ignore[method-assign]
    loss, _ = ClassificationObjective(7, label_smoothing=0.3)(model, batch)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets, label_smoothing=0.3))
