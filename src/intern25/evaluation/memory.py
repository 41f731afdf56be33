# SPDX-License-Identifier: MIT
"""Peak memory of one pass of a model above the loaded model, each in a process of its own (Linux)."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import torch

from intern25.evaluation.contestants import build, model_input

_PROCESS = Path("/proc/self")
_WARM_UP_SIZE = (64, 64)


def measure_peak(
    name: str, batch: int, size: tuple[int, int], dtype: str, *, training: bool = False
) -> float | None:
    """High-water mark of resident memory during one pass over that of the loaded model, in MiB.

    Args:
        name: Row of ``contestants.MODELS``.
        batch: Images in the batch.
        size: (height, width).
        dtype: ``"float32"`` or ``"bfloat16"``.
        training: A forward and backward pass instead of a forward pass.

    Returns:
        MiB, or None where the system does not tell (anything but Linux).

    Raises:
        RuntimeError: The process failed; the message holds the end of its errors.
    """
    if not (_PROCESS / "status").exists():
        return None
    task = json.dumps([name, batch, list(size), dtype, training, torch.get_num_threads()])
    command = [sys.executable, "-m", "intern25.evaluation.memory", task]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def _measure_here(name: str, batch: int, size: tuple[int, int], dtype_name: str, training: bool) -> float:
    dtype = getattr(torch, dtype_name)
    model = build(name, dtype, training=training)
    # A first pass on a small image loads libraries and starts threads; they are not the model's.
    _run(model, model_input(name, 2, _WARM_UP_SIZE if "swin" not in name else size, dtype), training)
    images = model_input(name, batch, size, dtype)
    model.zero_grad(set_to_none=True)
    gc.collect()
    before = _status("VmRSS")
    (_PROCESS / "clear_refs").write_text("5")  # forget the high-water mark of loading
    _run(model, images, training)
    return round((_status("VmHWM") - before) / 1024, 1)


def _run(model: torch.nn.Module, images: torch.Tensor, training: bool) -> None:
    if training:
        model(images).float().square().mean().backward()
        return
    with torch.inference_mode():
        model(images)


def _status(field: str) -> int:
    """A field of /proc/self/status, in KiB."""
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def main() -> None:
    """Measure the task in the first argument and write the MiB to standard output."""
    name, batch, size, dtype, training, threads = json.loads(sys.argv[1])
    torch.set_num_threads(threads)
    sys.stdout.write(f"{_measure_here(name, batch, tuple(size), dtype, training)}\n")


if __name__ == "__main__":
    main()
