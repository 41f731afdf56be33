# SPDX-License-Identifier: MIT
"""Peak memory of one pass of a model above the loaded model, each in a process of its own (Linux)."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from intern25.evaluation.contestants import Size
from intern25.evaluation.suites import SUITES

_PROCESS = Path("/proc/self")
_WARM_UP_SIDE = 64


def measure_peak(suite: str, name: str, case: Mapping[str, Any]) -> float | None:
    """High-water mark of resident memory during one pass over that of the loaded model, in MiB.

    Args:
        suite: Name out of ``suites.SUITES``.
        name: One of its contestants.
        case: Of a row of the suite: ``batch``, ``height``, ``width``, ``dtype`` and ``pass``.

    Returns:
        MiB, or None where the system does not tell (anything but Linux).

    Raises:
        RuntimeError: The process failed; the message holds the end of its errors.
    """
    if not (_PROCESS / "status").exists():
        return None
    task = json.dumps([suite, name, dict(case), torch.get_num_threads()])
    command = [sys.executable, "-m", "intern25.evaluation.memory", task]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def _measure_here(suite_name: str, name: str, case: Mapping[str, Any]) -> float:
    suite = SUITES[suite_name]
    contestant, dtype = suite.contestants[name], getattr(torch, case["dtype"])
    training = case["pass"] == "train"
    model = contestant.prepared(contestant.fresh(), dtype, training=training)
    # A first pass on a small image loads libraries and starts threads; they are not the model's.
    side = max(_WARM_UP_SIDE, suite.smallest_side)
    small: Size = contestant.fixed_size or (side, side)
    _run(model, contestant.images(2, small, dtype), training)
    images = contestant.images(case["batch"], (case["height"], case["width"]), dtype)
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
    suite, name, case, threads = json.loads(sys.argv[1])
    torch.set_num_threads(threads)
    sys.stdout.write(f"{_measure_here(suite, name, case)}\n")


if __name__ == "__main__":
    main()
