"""A small data set that can be learnt, a small configuration, and training in processes of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from intern25.training.config import TrainConfig
from intern25.training.run_config import RunConfig

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_TRAINING = Path(__file__).with_name("run_training.py")
CLASSES = ("blue", "green", "red")


def picture(label: int, seed: int, size: int = 40) -> bytes:
    """A noisy picture in which one channel is bright; JPEG."""
    pixels = np.random.default_rng((label, seed)).integers(0, 110, (size, size + 8, 3))
    pixels[..., 2 - label] += 120
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zip of 3 classes, 8 training and 3 validation pictures each."""
    path = tmp_path_factory.mktemp("data") / "colours.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label, name in enumerate(CLASSES):
            for number in range(11):
                split = "train" if number < 8 else "val"
                archive.writestr(f"colours/{split}/{name}/{number:02d}.jpg", picture(label, number))
    return path


def small_run(data: Path, output: Path) -> TrainConfig:
    """Two epochs of six updates at 32 pixels, with everything that draws random numbers."""
    return TrainConfig(
        data=str(data),
        output=str(output),
        model="internimage_nano",
        epochs=2,
        batch_size=4,
        base_lr=5e-2,
        warmup_epochs=1,
        warmup_lr=1e-4,
        min_lr=1e-4,
        augmentation="light",
        drop_path=0.1,
        ema_decay=0.9,
        image_size=32,
        workers=0,
        log_every=1,
        save_every_minutes=0.0,
        tensorboard=False,
        device="cpu",
    )


@pytest.fixture
def config(colours: Path, tmp_path: Path) -> TrainConfig:
    return small_run(colours, tmp_path / "run")


@pytest.fixture(scope="session")
def untouched(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of the small run, trained in one go."""
    output = tmp_path_factory.mktemp("untouched") / "run"
    finish(launch(small_run(colours, output)))
    return output


def launch(
    config: RunConfig,
    processes: int = 1,
    *,
    script: Path = RUN_TRAINING,
    **changes: Any,
) -> list[subprocess.Popen[str]]:
    """Start ``processes`` training processes of a configuration."""
    config = replace(config, **changes)
    path = Path(config.output).with_suffix(".json")
    path.write_text(config.to_json())
    return start_processes([sys.executable, str(script), str(path)], processes)


def start_processes(command: list[str], processes: int) -> list[subprocess.Popen[str]]:
    """Start ``processes`` processes that find each other as torchrun's would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            command,
            env=_environment(rank, processes, port),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    values = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    if processes > 1:
        values |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
        values |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return values


def finish(processes: list[subprocess.Popen[str]], code: int = 0) -> str:
    """Wait for all; every one must end with ``code``. Returns what the first wrote."""
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), "\n".join(outputs)
    return outputs[0]
