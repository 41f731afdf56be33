"""The suites' bookkeeping; no test here fails on a time."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from benchmarks import schema

from intern25.evaluation.attention_benchmark import AttentionShape, run_attention_suite
from intern25.evaluation.classifier_suite import CLASSIFIERS
from intern25.evaluation.memory import measure_peak
from intern25.evaluation.model_benchmark import run_model_suite
from intern25.evaluation.operator_benchmark import OperatorShape, run_operator_suite
from intern25.evaluation.timing import Timing, machine_facts, result_file, result_rows, take_turns
from intern25.ops import native
from intern25.ops.backends import Refusal
from tests.ops.dcnv3.pytorch_formulation import dcnv3_pytorch

SMALL = (OperatorShape("small", 1, 5, 6, 2),)
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_contestants_take_turns_in_rotating_order() -> None:
    calls: list[str] = []
    slow = {name: lambda name=name: calls.append(name) or busy(0.021) for name in "abc"}
    timings = take_turns(slow, rounds=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"  # warm-up, then the rounds
    assert all(len(timing.rounds) == 3 and min(timing.rounds) >= 20 for timing in timings.values())


def busy(seconds: float) -> None:
    import time

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The second round was disturbed for both; the ratio of medians would be 30 / 20.
    ours, theirs = Timing((10.0, 90.0, 30.0)), Timing((20.0, 180.0, 15.0))
    assert ours.ratio_to(theirs) == 0.5
    row = ours.row()
    assert (row["median_ms"], row["minimum_ms"], row["rounds"]) == (30.0, 10.0, 3)
    assert row["iqr_ms"] == 40.0


def test_operator_suite_has_a_row_per_case_and_contestant() -> None:
    content = run_operator_suite(shapes=SMALL, rounds=1, formulation=dcnv3_pytorch)
    assert schema.problems(content) == []
    names = {row["contestant"] for row in content["results"] if row["case"]["dtype"] == "float32"}
    expected = {"pytorch", "reference", "torchvision"}
    if not isinstance(native.library(), Refusal):
        expected |= set(native.available_instruction_sets())
    assert names == expected
    assert {row["case"]["pass"] for row in content["results"]} == {"forward", "train"}
    assert all(row["ratio"] == 1 for row in content["results"] if row["contestant"] == row["ratio_to"])
    assert {(row["case"]["dtype"], row["ratio_to"]) for row in content["results"]} == {
        ("float32", "pytorch"),
        ("bfloat16", "reference"),
    }
    json.dumps(content, allow_nan=False)


def test_operator_suite_leaves_threads_and_instruction_set_as_they_were() -> None:
    threads = torch.get_num_threads()
    before = None if isinstance(native.library(), Refusal) else native.instruction_set()
    run_operator_suite(shapes=SMALL, dtypes=("float32",), passes=("forward",), rounds=1, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert before is None or native.instruction_set() == before


def test_attention_suite_has_a_row_per_case_and_contestant() -> None:
    shapes = (
        AttentionShape("encoder", ((4, 6), (2, 3)), heads=2, head_channels=8),
        AttentionShape("decoder", ((4, 6),), queries=3, heads=1, head_channels=32, points=1),
    )
    content = run_attention_suite(shapes=shapes, rounds=1)
    assert schema.problems(content) == []
    expected = {"reference", "transformers"} - (set() if find_spec("transformers") else {"transformers"})
    if hasattr(native.library(), "intern25_deform_attn_forward"):
        expected |= set(native.available_instruction_sets())
    assert {r["contestant"] for r in content["results"] if r["case"]["dtype"] == "float32"} == expected
    cases = {tuple(row["case"].values()) for row in content["results"]}
    assert len(cases) == len(shapes) * 2 * 2
    assert all(row["ratio"] == 1 for row in content["results"] if row["contestant"] == row["ratio_to"])


def test_model_suite() -> None:
    content = run_model_suite(
        CLASSIFIERS,
        models=["internimage_nano", "internimage_nano optimized"],
        batch_sizes=(1,),
        image_sizes=((64, 64),),
        dtypes=("float32",),
        rounds=1,
        memory=False,
    )
    assert schema.problems(content) == []
    passes = [(row["contestant"], row["case"]["pass"]) for row in content["results"]]
    assert passes == [
        ("internimage_nano", "forward"),
        ("internimage_nano optimized", "forward"),
        ("internimage_nano", "train"),
    ]


def test_unknown_model_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=r"vgg.*internimage_t"):
        run_model_suite(CLASSIFIERS, models=["vgg"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_sees_the_maps() -> None:
    case = {"dtype": "float32", "pass": "forward"}
    small = measure_peak("models", "internimage_nano", case | {"batch": 1, "height": 64, "width": 64})
    large = measure_peak("models", "internimage_nano", case | {"batch": 4, "height": 256, "width": 256})
    assert small is not None
    assert large is not None
    # The stem's first map alone is 4 * 128 * 128 * 16 floats = 4 MiB.
    assert large > small + 3


def test_machine_facts_are_complete() -> None:
    assert set(schema.MACHINE_FIELDS) <= set(machine_facts())


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*.json")), ids=lambda path: path.name)
def test_published_results_keep_the_schema(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert schema.problems(content) == []
    assert path.name.count("--") == 2, "suite--machine--device"
    assert path.parent.name == content["version"]


def test_schema_finds_what_is_wrong() -> None:
    rows = result_rows(
        {"shape": "s", "dtype": "float32", "pass": "forward"}, {"a": Timing((1.0,))}, baseline="a"
    )
    good = result_file("operator", {}, rows)
    assert schema.problems(good) == []
    assert schema.problems({**good, "suite": "other"})
    assert schema.problems({**good, "machine": {}})
    assert schema.problems({**good, "results": [{**rows[0], "ratio": "fast"}]})
    assert schema.problems({"suite": "operator"})
