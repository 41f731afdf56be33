# SPDX-License-Identifier: MIT
"""``intern25 bench``: the speed of operators and of whole models on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from intern25.cli.exits import DONE
from intern25.cli.options import parse, split_task

TASKS = {
    "op": "DCNv3 at the shapes of each stage: reference, native kernels, torchvision's deform_conv2d",
    "deform_attn": "the attention of DINO and Mask2Former beside transformers' formulation",
    "model": "classifiers beside timm's convnext_tiny, swin_tiny and resnet50; needs the train extra",
    "detector": "Mask R-CNN and DINO beside torchvision's and transformers' detectors; needs the hf extra",
    "segmenter": "UperNet beside transformers' on ConvNeXt and Swin; needs the hf extra",
    "generalist": "every task of a generalist on one picture, how long it loads, how much memory it takes",
}

_SUITES = {"detector": "detectors", "segmenter": "segmenters"}
"""Task to the name of its suite."""

_DESCRIPTION = (
    "Contestants take turns, so that ratios hold on a busy machine; losses are shown as wins are. "
    "--json prints, and --output writes, one object with machine facts and a row for each case."
)


class _Named(Protocol):
    """A shape of a suite."""

    @property
    def name(self) -> str:
        """What ``--shapes`` is compared with."""


Shape = TypeVar("Shape", bound=_Named)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """Options of every task."""

    rounds: int = 5
    """Turns of each contestant."""
    threads: int | None = None
    """Threads of torch; by default as they are."""
    output: Path | None = None
    """File for the results (.json)."""
    json: bool = False
    """Print the results as one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorOptions(BenchOptions):
    """Options of ``intern25 bench op`` and ``intern25 bench deform_attn``."""

    shapes: str = "*"
    """Pattern of the shapes to run, such as 'T 224*' or '*decoder*'."""
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """Types of the tensors."""
    passes: tuple[Literal["forward", "train"], ...] = ("forward", "train")
    """train is forward and backward."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeModelOptions(BenchOptions):
    """Options of ``intern25 bench detector`` and ``intern25 bench segmenter``."""

    models: tuple[str, ...] = ()
    """Models to run; all by default."""
    image_sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of the images, of one size or several; by default 800 1333 for detectors and
    512 512 512 2048 for segmenters."""
    no_memory: bool = False
    """Leave out peak memory, which needs a process for each case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions(BenchOptions):
    """Options of ``intern25 bench model``."""

    models: tuple[str, ...] = ()
    """Models to run; all by default."""
    batch_sizes: tuple[int, ...] = (1, 8)
    """Images in a batch."""
    image_size: int = 224
    """Side of the images."""
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """Types of weights and images."""
    passes: tuple[Literal["forward", "train"], ...] = ("forward", "train")
    """train is forward and backward."""
    no_memory: bool = False
    """Leave out peak memory, which needs a process for each case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistBenchOptions(BenchOptions):
    """Options of ``intern25 bench generalist``."""

    model: str = "intern25_tiny"
    """Name or file of a generalist."""
    image_size: int = 224
    """Side of the picture."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    task, rest = split_task(arguments, TASKS, command="bench")
    if task is None:
        return DONE
    if task in ("op", "deform_attn"):
        operator = parse(OperatorOptions, rest, command=f"bench {task}", description=_DESCRIPTION)
        _check(operator)
        return _finish(_run_operator(operator) if task == "op" else _run_attention(operator), operator)
    if task == "model":
        model = parse(ModelOptions, rest, command="bench model", description=_DESCRIPTION)
        _check(model)
        return _finish(_run_models(model), model)
    if task == "generalist":
        generalist = parse(GeneralistBenchOptions, rest, command="bench generalist", description=_DESCRIPTION)
        _check(generalist)
        return _finish(_run_generalist(generalist), generalist)
    whole = parse(WholeModelOptions, rest, command=f"bench {task}", description=_DESCRIPTION)
    _check(whole)
    return _finish(_run_whole_models(_SUITES[task], whole), whole)


def _check(options: BenchOptions) -> None:
    """Refuse before minutes of measuring what would fail after them."""
    if options.rounds < 1:
        raise ValueError(f"--rounds {options.rounds} must be 1 or more")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads {options.threads} must be 1 or more")
    if options.output is not None and not options.output.parent.is_dir():
        raise ValueError(f"the folder {options.output.parent} of --output does not exist")


def _run_operator(options: OperatorOptions) -> dict[str, Any]:
    from intern25.evaluation.operator_benchmark import OPERATOR_SHAPES, run_operator_suite

    return run_operator_suite(
        shapes=_chosen(OPERATOR_SHAPES, options.shapes),
        dtypes=options.dtypes,
        passes=options.passes,
        rounds=options.rounds,
        threads=options.threads,
        report=_report,
    )


def _run_attention(options: OperatorOptions) -> dict[str, Any]:
    from intern25.evaluation.attention_benchmark import ATTENTION_SHAPES, run_attention_suite

    return run_attention_suite(
        shapes=_chosen(ATTENTION_SHAPES, options.shapes),
        dtypes=options.dtypes,
        passes=options.passes,
        rounds=options.rounds,
        threads=options.threads,
        report=_report,
    )


def _chosen(shapes: Sequence[Shape], pattern: str) -> list[Shape]:
    """The shapes whose names fit."""
    chosen = [shape for shape in shapes if fnmatchcase(shape.name, pattern)]
    if not chosen:
        known = ", ".join(shape.name for shape in shapes)
        raise ValueError(f"no shape fits --shapes {pattern!r}; there are {known}")
    return chosen


def _run_models(options: ModelOptions) -> dict[str, Any]:
    from intern25.evaluation.classifier_suite import CLASSIFIERS
    from intern25.evaluation.model_benchmark import run_model_suite

    return run_model_suite(
        CLASSIFIERS,
        models=options.models,
        batch_sizes=options.batch_sizes,
        image_sizes=((options.image_size, options.image_size),),
        dtypes=options.dtypes,
        passes=options.passes,
        rounds=options.rounds,
        threads=options.threads,
        memory=not options.no_memory,
        report=_report,
    )


def _run_whole_models(suite: str, options: WholeModelOptions) -> dict[str, Any]:
    from intern25.evaluation.model_benchmark import run_model_suite
    from intern25.evaluation.suites import SUITES

    return run_model_suite(
        SUITES[suite],
        models=options.models,
        image_sizes=options.image_sizes,
        rounds=options.rounds,
        threads=options.threads,
        memory=not options.no_memory,
        report=_report,
    )


def _run_generalist(options: GeneralistBenchOptions) -> dict[str, Any]:
    from intern25.predictors.generalist_benchmark import run_generalist_suite

    return run_generalist_suite(
        model=options.model,
        image_size=options.image_size,
        rounds=options.rounds,
        threads=options.threads,
        report=_report,
    )


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _finish(results: dict[str, Any], options: BenchOptions) -> int:
    text = json.dumps(results, indent=1)
    if options.output is not None:
        from intern25.weights.files import write_whole

        write_whole(options.output, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
    print(text if options.json else _table(results))
    return DONE


def _table(results: dict[str, Any]) -> str:
    machine = results["machine"]
    lines = [f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}"]
    case = None
    for row in results["results"]:
        if row["case"] != case:
            case = row["case"]
            lines += ["", "  ".join(f"{name} {value}" for name, value in case.items())]
        memory = f"  {row['peak_mib']:>8.0f} MiB" if row.get("peak_mib") is not None else ""
        ratio = f"{row['ratio']:.3f} x {row['ratio_to']}"
        lines.append(f"  {row['contestant']:<28} {row['median_ms']:>10.3f} ms  {ratio}{memory}")
    return "\n".join(lines)
