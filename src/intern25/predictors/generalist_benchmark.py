# SPDX-License-Identifier: MIT
"""The suite behind ``intern25 bench generalist``: every task of one loaded model, loading and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from intern25.data.scenes.dataset import StreetScenes
from intern25.evaluation.passes import Report, say, torch_threads
from intern25.evaluation.timing import Timing, result_file, result_rows, take_turns
from intern25.predictors.generalist import GeneralistPredictor
from intern25.predictors.loading import load_as

_NAMES = ["street", "junction", "tunnel", "highway"]
_MOST_LOADS = 3
# The clock starts before the imports, which are most of what a user waits for, and has what a user imports.
_FRESH = """
import json, sys, time
start = time.perf_counter()
import intern25, torch
model, side, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
predictor = intern25.load(model)
load_ms = 1e3 * (time.perf_counter() - start)
from intern25.predictors.generalist_benchmark import report_process
report_process(predictor, side, load_ms)
"""


def run_generalist_suite(
    *,
    model: str = "intern25_tiny",
    image_size: int = 224,
    rounds: int = 5,
    threads: int | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Time each task on one rendered street, and loading in fresh processes.

    Args:
        model: Name or file of a generalist.
        image_size: Side of the picture that is given; the model resizes it as each task needs.
        rounds: Turns of each task.
        threads: Torch's threads; None keeps them.
        report: Called with a line before each part.

    Returns:
        Contents of a result file: one row a task, ratios to classification, and one for loading, whose
        ``peak_mib`` is the resident memory of a process that loaded the model and did every task once.
    """
    with torch_threads(threads):
        say(report, f"tasks at {image_size}x{image_size}")
        calls = _tasks(load_as(GeneralistPredictor, model), image_size)
        case = {"task": "one picture", "height": image_size, "width": image_size}
        rows = result_rows(case, take_turns(calls, rounds=rounds), baseline=next(iter(calls)))
        say(report, "loading")
        loads = [_fresh_process(model, image_size) for _ in range(min(rounds, _MOST_LOADS))]
        loading = Timing(tuple(found["load_ms"] for found in loads))
        (row,) = result_rows({"task": "a new process"}, {"load": loading}, baseline="load")
        peaks = [peak for found in loads if (peak := found["peak_mib"]) is not None]
        rows.append({**row, "peak_mib": max(peaks, default=None)})
        return result_file("generalist", {"rounds": rounds, "model": model, "image_size": image_size}, rows)


def _tasks(model: GeneralistPredictor, side: int) -> dict[str, Callable[[], object]]:
    """Each task on the same picture."""
    picture = StreetScenes(1, seed=0, size=(side, side)).view(0).image
    return {
        "classify": lambda: model.classify(picture, _NAMES),
        "detect": lambda: model.detect(picture, ["car", "traffic light"]),
        "segment": lambda: model.segment(picture),
        "caption en": lambda: model.caption(picture, "en"),
        "caption zh": lambda: model.caption(picture, "zh"),
        "ask en": lambda: model.ask(picture, "What is the speed limit ahead?"),
        "ask zh": lambda: model.ask(picture, "此刻可以直行吗？"),
        "read": lambda: model.read(picture),
        "embed a picture": lambda: model.embed_image([picture]),
        "embed a text": lambda: model.embed_text(["可爱毛绒绒的照片"]),
    }


def _fresh_process(model: str, side: int) -> dict[str, Any]:
    """Milliseconds of importing and loading, and MiB of a process that did every task once.

    Raises:
        RuntimeError: The process failed; the message holds the end of its errors.
    """
    task = json.dumps([model, side, torch.get_num_threads()])
    command = [sys.executable, "-c", _FRESH, task]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"loading {model} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report_process(model: GeneralistPredictor, side: int, load_ms: float) -> None:
    """Do every task once, and write the figures of this process to standard output as JSON."""
    for do in _tasks(model, side).values():
        do()
    sys.stdout.write(json.dumps({"load_ms": round(load_ms, 1), "peak_mib": _peak_mib()}))


def _peak_mib() -> float | None:
    """Resident memory of this process at its highest; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    # The unit is KiB on Linux and bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
