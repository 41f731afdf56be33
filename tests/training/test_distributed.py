"""Two processes compute what one process computes on the joined batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from intern25.training.batch_norm import GlobalBatchNorm2d, synchronise_batch_norm
from intern25.training.config import TrainConfig
from tests.training.conftest import finish, launch
from tests.training.test_resume import log_of

# Stochastic depth and mixing draw per process, so they are off here.
DETERMINISTIC = {"mixup": 0.0, "cutmix": 0.0, "drop_path": 0.0}


def test_two_processes_learn_as_one(config: TrainConfig, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    config = replace(config, epochs=2, save_every_minutes=60.0)
    # Twice two images make the same forward pass as once four, accumulated over two passes.
    finish(launch(config, output=one, batch_size=4, accumulation=2, **DETERMINISTIC))
    finish(launch(config, 2, output=two, batch_size=2, accumulation=2, **DETERMINISTIC))
    curves = [[line["loss"] for line in log_of(folder)] for folder in (one, two)]
    assert len(curves[0]) == len(curves[1]) == 6
    assert curves[0][0] == pytest.approx(curves[1][0], rel=1e-6)
    # Equal but for the order of summation, which training amplifies slowly.
    assert curves[0] == pytest.approx(curves[1], rel=2e-3)
    left, right = (load_file(Path(folder) / "final.safetensors") for folder in (one, two))
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=2e-2, atol=2e-3, msg=name)


def test_two_processes_resume(config: TrainConfig, tmp_path: Path) -> None:
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    config = replace(config, epochs=1, save_every_minutes=60.0)
    finish(launch(config, 2, output=whole, batch_size=2))
    finish(launch(config, 2, output=parts, batch_size=2, max_seconds=1e-3), code=3)
    finish(launch(config, 2, output=parts, batch_size=2))
    left, right = (load_file(Path(folder) / "final.safetensors") for folder in (whole, parts))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_sharded_training_and_resume(config: TrainConfig, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    config = replace(config, epochs=1, save_every_minutes=60.0)
    changes = {**DETERMINISTIC, "ema_decay": 0.0}
    finish(launch(config, output=one, batch_size=4, **changes))
    sharded = {"batch_size": 2, "parallel": "fsdp", **changes}
    finish(launch(config, 2, output=two, max_seconds=1e-3, **sharded), code=3)
    finish(launch(config, 2, output=two, **sharded))
    curves = [[line["loss"] for line in log_of(folder)] for folder in (one, two)]
    assert curves[0] == pytest.approx(curves[1], rel=2e-3)
    left, right = (load_file(Path(folder) / "final.safetensors") for folder in (one, two))
    assert {name: tensor.shape for name, tensor in left.items()} == {n: t.shape for n, t in right.items()}


def test_synchronised_norm_keeps_names_and_values() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))
    names = list(model.state_dict())
    x = torch.randn(2, 3, 5, 5)
    expected = model(x)
    synchronise_batch_norm(model)
    assert isinstance(model[1], GlobalBatchNorm2d)
    assert isinstance(model[2][0], GlobalBatchNorm2d)
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model(x), expected)
