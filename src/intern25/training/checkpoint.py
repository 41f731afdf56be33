# SPDX-License-Identifier: MIT
"""Checkpoints of a run: written whole or not at all, two kept, read with ``weights_only=True``."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from intern25.weights.files import write_whole

LAST_NAME = "last.ckpt"
PREVIOUS_NAME = "previous.ckpt"
FORMAT_VERSION = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write ``state`` as the last checkpoint and keep the one before.

    Raises:
        OSError: The file could not be written; the old checkpoints are as they were.
    """
    last, previous = folder / LAST_NAME, folder / PREVIOUS_NAME

    def write(path: Path) -> None:
        try:
            torch.save({"format": FORMAT_VERSION, **state}, path)
        except RuntimeError as error:
            # torch's zip writer reports a full disk this way.
            free = shutil.disk_usage(folder).free / 1e6
            raise OSError(
                f"cannot write the checkpoint {last}, {free:.0f} MB are free there; the one before is as it "
                f"was: make room and run the command again ({error})"
            ) from error
        if last.exists():
            last.replace(previous)

    write_whole(last, write)
    return last


def load_checkpoint_state(folder: Path) -> dict[str, Any] | None:
    """Return the newest readable state in ``folder``, or None where there is no checkpoint.

    Raises:
        ValueError: There are checkpoints but none can be read.
    """
    candidates = [path for path in (folder / LAST_NAME, folder / PREVIOUS_NAME) if path.is_file()]
    failures = []
    for path in candidates:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            failures.append(f"{path}: {error}")
            continue
        if isinstance(state, dict) and state.get("format") == FORMAT_VERSION:
            return state
        failures.append(f"{path}: not a checkpoint of this version")
    if failures:
        raise ValueError("no checkpoint can be read; remove them to start anew:\n" + "\n".join(failures))
    return None
