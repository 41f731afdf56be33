# SPDX-License-Identifier: MIT
"""Run a benchmark suite and write its result file."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
# Models measure their memory in processes of their own, which must find the same package.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])

from tests.ops.dcnv3.pytorch_formulation import dcnv3_pytorch  # noqa: E402

from benchmarks.schema import problems  # noqa: E402
from intern25.evaluation.attention_benchmark import run_attention_suite  # noqa: E402
from intern25.evaluation.model_benchmark import run_model_suite  # noqa: E402
from intern25.evaluation.operator_benchmark import run_operator_suite  # noqa: E402
from intern25.evaluation.suites import SUITES  # noqa: E402
from intern25.predictors.generalist_benchmark import run_generalist_suite  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
MODELS = ("internimage_t", "internimage_t optimized", "convnext_tiny", "swin_tiny", "resnet50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "suite",
        choices=("operator", "deform_attn", "models", "detection", "detectors", "segmenters", "generalist"),
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--machine", default=None, help="name in the file; the processor's by default")
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    content = run(options.suite, options.rounds, options.threads, memory=not options.no_memory)
    print(f"wrote {save(content, options.suite, options.machine)}")


def run(suite: str, rounds: int, threads: int | None, *, memory: bool) -> dict[str, Any]:
    if suite == "operator":
        return run_operator_suite(rounds=rounds, threads=threads, formulation=dcnv3_pytorch, report=print)
    if suite == "deform_attn":
        return run_attention_suite(rounds=rounds, threads=threads, report=print)
    if suite == "generalist":
        return run_generalist_suite(rounds=rounds, threads=threads, report=print)
    settings: dict[str, Any] = {"rounds": rounds, "threads": threads, "memory": memory, "report": print}
    if suite in ("detectors", "segmenters"):
        return run_model_suite(SUITES[suite], **settings)
    if suite == "models":
        return run_model_suite(SUITES["models"], models=MODELS, **settings)
    return run_model_suite(
        SUITES["models"],
        models=[name for name in MODELS if name != "swin_tiny"],  # of a fixed image size
        batch_sizes=(1,),
        image_sizes=((800, 1333),),
        passes=("forward",),
        **settings,
    )


def save(content: dict[str, Any], name: str, machine: str | None) -> Path:
    wrong = problems(content)
    if wrong:
        raise ValueError(f"the result breaks the schema: {wrong}")
    facts = content["machine"]
    machine = machine or f"{facts['processor']}-{facts['threads']}threads"
    slug = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    path = RESULTS / content["version"] / f"{name}--{slug}--{facts['device']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


if __name__ == "__main__":
    main()
