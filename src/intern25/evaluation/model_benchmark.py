# SPDX-License-Identifier: MIT
"""Time a suite of whole models side by side: classifiers, detectors, segmenters and their peers.

Contestants take turns in one process; peak memory is measured in fresh processes. The JSON-able contents of a
result file (``evaluation/timing.py``) come back and nothing is written. Losses are reported as wins are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from intern25.backbones.classifier import num_parameters
from intern25.evaluation.contestants import Size
from intern25.evaluation.memory import measure_peak
from intern25.evaluation.model_suite import ModelSuite
from intern25.evaluation.passes import DType, Pass, Report, say, torch_threads
from intern25.evaluation.timing import result_file, result_rows, take_turns

Models = Mapping[str, nn.Module]


def run_model_suite(
    suite: ModelSuite,
    *,
    models: Sequence[str] = (),
    batch_sizes: Sequence[int] = (),
    image_sizes: Sequence[Size] = (),
    dtypes: Sequence[DType] = (),
    passes: Sequence[Pass] = (),
    rounds: int = 5,
    threads: int | None = None,
    memory: bool = True,
    report: Report | None = None,
) -> dict[str, Any]:
    """Time whole models with random weights, offsets of about one pixel, beside their peers.

    bfloat16 models hold all their weights in bfloat16. Optimized models have no training step.

    Args:
        suite: One of ``suites.SUITES``; it says what is left out below.
        models: Names out of ``suite.contestants``; all by default.
        batch_sizes: Images in a batch.
        image_sizes: (height, width) of the images.
        dtypes: Types of weights and images.
        passes: ``"forward"`` in inference mode, ``"train"`` for forward and backward in training mode.
        rounds: Turns of each contestant.
        threads: Torch's threads; None keeps them.
        memory: Also measure each row's peak memory, in a process of its own.
        report: Called with a line before each case.

    Returns:
        Contents of a result file with one row per case and contestant; ratios are to ``suite.baseline``, or
        to the first model where that does not take part. Its settings hold the parameters of each model and,
        by size of the images, the work it does on one.

    Raises:
        ValueError: A name in ``models`` is unknown, an image is too small, or the suite has no such pass.
        ImportError: The library of a peer is missing.
    """
    names = suite.choose(models)
    sizes = suite.choose_sizes(image_sizes)
    kinds = suite.choose_passes(passes)
    settings: dict[str, Any] = {"rounds": rounds, "image_sizes": [list(size) for size in sizes]}
    settings |= {"parameters": {}, "work": {}}
    rows: list[dict[str, Any]] = []
    with torch_threads(threads):
        for dtype, kind in product(dtypes or suite.dtypes, kinds):
            built = _build(suite, names, dtype, kind, settings["parameters"])
            for size, batch in product(sizes if built else (), batch_sizes or suite.batch_sizes):
                case = {"batch": batch, "height": size[0], "width": size[1], "dtype": dtype, "pass": kind}
                say(report, _line(case))
                rows += _time(suite, built, case, rounds)
            if suite.work is not None:
                settings["work"] |= {
                    f"{height}x{width}": _work(suite, built, (height, width), dtype)
                    for height, width in sizes
                }
        for row in rows if memory else ():
            say(report, f"memory of {row['contestant']} {_line(row['case'])}")
            row["peak_mib"] = measure_peak(suite.name, row["contestant"], row["case"])
        return result_file(suite.name, settings, rows)


def _line(case: Mapping[str, object]) -> str:
    return f"batch {case['batch']} {case['height']}x{case['width']} {case['dtype']} {case['pass']}"


def _build(
    suite: ModelSuite, names: Sequence[str], dtype: DType, kind: Pass, parameters: dict[str, int]
) -> Models:
    """The models that have such a pass; an optimized one has no parameters to count any more."""
    built = {}
    for name in names:
        contestant = suite.contestants[name]
        if kind == "forward" or contestant.can_train:
            model = contestant.fresh()
            parameters[name] = num_parameters(model)
            built[name] = contestant.prepared(model, getattr(torch, dtype), training=kind == "train")
    return built


def _time(suite: ModelSuite, built: Models, case: Mapping[str, Any], rounds: int) -> list[dict[str, Any]]:
    size, dtype = (case["height"], case["width"]), getattr(torch, case["dtype"])
    passes = {
        name: _model_pass(model, suite.contestants[name].images(case["batch"], size, dtype), case["pass"])
        for name, model in built.items()
    }
    baseline = suite.baseline if suite.baseline in built else next(iter(built))
    return result_rows(case, take_turns(passes, rounds=rounds), baseline=baseline)


def _work(suite: ModelSuite, built: Models, size: Size, dtype: DType) -> dict[str, dict[str, int]]:
    assert suite.work is not None, "asked for only where work is counted"
    return {
        name: dict(suite.work(model, suite.contestants[name].images(1, size, getattr(torch, dtype))))
        for name, model in built.items()
    }


def _model_pass(model: nn.Module, images: Tensor, kind: Pass) -> Callable[[], object]:
    if kind == "forward":

        def forward() -> None:
            with torch.inference_mode():
                model(images)

        return forward

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model(images).float().square().mean().backward()

    return step
