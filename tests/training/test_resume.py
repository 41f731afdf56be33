"""Killed, stopped and resumed runs give the numbers of a run that was never touched."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from intern25.training import trainer as trainer_module
from intern25.training.checkpoint import load_checkpoint_state, save_checkpoint
from intern25.training.classification import train
from intern25.training.config import TrainConfig
from tests.training.conftest import finish, launch


def log_of(folder: str | Path, kind: str = "train") -> list[dict[str, float]]:
    path = Path(folder) / "log.jsonl"
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            lines.append(json.loads(line))
    return [line for line in lines if line["kind"] == kind]


def wait_for_update(process: subprocess.Popen[str], folder: str, update: int) -> None:
    deadline = time.monotonic() + 200
    while not any(line["update"] >= update for line in log_of(folder)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.02)


def assert_same_run(left: str | Path, right: str | Path) -> None:
    """Losses of every update and all final tensors equal to the last bit."""
    losses = [[(line["update"], line["loss"]) for line in log_of(folder)] for folder in (left, right)]
    assert len(losses[0]) == 12
    assert losses[0] == losses[1]
    tensors = [load_file(Path(folder) / "final.safetensors") for folder in (left, right)]
    assert tensors[0].keys() == tensors[1].keys()
    for name, tensor in tensors[0].items():
        assert torch.equal(tensor, tensors[1][name]), name


def test_run_killed_twice_equals_the_untouched_run(config: TrainConfig, untouched: Path) -> None:
    for update in (3, 8):  # both in the middle of an epoch
        (process,) = launch(config)
        wait_for_update(process, config.output, update)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert "resumed at update" in finish(launch(config, workers=1))
    assert_same_run(untouched, config.output)


def test_stop_signal_saves_and_ends(config: TrainConfig, untouched: Path) -> None:
    (process,) = launch(config, save_every_minutes=60.0)
    wait_for_update(process, config.output, 3)
    process.send_signal(signal.SIGTERM)
    assert "a stop signal came" in finish([process], code=3)
    assert not (Path(config.output) / "final.safetensors").exists()
    finish(launch(config))
    assert_same_run(untouched, config.output)


def test_finished_run_is_left_as_it_is(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    first = train(config)
    tensors = load_file(first.output / "final.safetensors")
    again = train(config)
    assert again.finished
    assert again.updates == first.updates
    assert all(torch.equal(t, tensors[n]) for n, t in load_file(first.output / "final.safetensors").items())


def test_other_settings_are_refused(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    with pytest.raises(ValueError, match=r"belongs to a run with other settings.*: epochs was 1, is 2"):
        train(replace(config, epochs=2))
    with pytest.raises(ValueError, match="already holds a run"):
        train(replace(config, epochs=1, resume=False))


def test_what_a_killed_run_left_half_written_is_removed(config: TrainConfig) -> None:
    output = Path(config.output)
    output.mkdir(parents=True)
    (output / ".last.ckpt.x1y2.part").write_bytes(b"half")
    assert not train(replace(config, max_seconds=1e-3)).finished
    assert not list(output.glob(".*"))


def test_muon_resumes_to_the_same_numbers(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, optimizer="muon", base_lr=8e-3, clip=0.0)
    whole = train(replace(config, output=str(tmp_path / "whole")))
    for _ in range(3):
        assert not train(replace(config, max_seconds=1e-3, save_every_minutes=60.0)).finished
    assert train(config).finished
    assert_same_run(whole.output, config.output)


def test_time_limit_saves_and_stops(config: TrainConfig) -> None:
    result = train(replace(config, max_seconds=1e-3, save_every_minutes=60.0))
    assert not result.finished
    assert result.updates == 1
    state = load_checkpoint_state(result.output)
    assert state is not None
    assert state["state"]["update"] == 1


def test_divergence_is_an_error_and_keeps_the_checkpoint(config: TrainConfig) -> None:
    result = train(replace(config, max_seconds=1e-3))

    def broken(model: torch.nn.Module, batch: object) -> tuple[torch.Tensor, dict[str, float]]:
        loss = model(batch.images).sum() * float("nan")  # type: ignore[attr-defined]
        return loss, {}

    before = (result.output / "last.ckpt").read_bytes()
    with pytest.raises(trainer_module.TrainingDivergedError, match="Lower base_lr"):
        train(config, objective=broken)
    assert (result.output / "last.ckpt").read_bytes() == before


def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, {"value": 1})
    save_checkpoint(tmp_path, {"value": 2})

    def full(_state: object, path: Path) -> None:
        path.write_bytes(b"half a")
        raise RuntimeError("PytorchStreamWriter failed writing file: no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(tmp_path, {"value": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    state = load_checkpoint_state(tmp_path)
    assert state is not None
    assert state["value"] == 2


def test_broken_last_checkpoint_falls_back_to_the_previous(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"value": 1})
    save_checkpoint(tmp_path, {"value": 2})
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:200])
    state = load_checkpoint_state(tmp_path)
    assert state is not None
    assert state["value"] == 1
    (tmp_path / "previous.ckpt").write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        load_checkpoint_state(tmp_path)
