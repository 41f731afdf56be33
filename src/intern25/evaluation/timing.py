# SPDX-License-Identifier: MIT
"""Fair timing on a machine that is never quiet: contestants take turns, ratios are taken round by round."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from intern25._version import __version__
from intern25.ops.backends import Ready
from intern25.ops.dcnv3 import cpu

Contestants = Mapping[str, Callable[[], object]]
SHORTEST_SAMPLE_SECONDS = 0.02
MOST_REPEATS = 100
SCHEMA = 1
"""Version of the layout of result files."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one contestant, one per round, in milliseconds."""

    rounds: tuple[float, ...]

    def ratio_to(self, other: Timing) -> float:
        """Median over the rounds of this time over the other's in the same round."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def row(self) -> dict[str, float | int]:
        """Median, minimum and quartile distance for a result file."""
        low, high = _quartiles(self.rounds)
        return {
            "median_ms": round(statistics.median(self.rounds), 4),
            "minimum_ms": round(min(self.rounds), 4),
            "iqr_ms": round(high - low, 4),
            "rounds": len(self.rounds),
        }


def take_turns(contestants: Contestants, *, rounds: int) -> dict[str, Timing]:
    """Time every contestant once per round, in an order that rotates from round to round.

    One time is the best of as many repeats as fill 20 ms (one for anything slower), so that a short kernel is
    not measured by its worst interruption. A first, untimed turn warms up.

    Args:
        contestants: Name to function without arguments.
        rounds: Times per contestant.
    """
    names = list(contestants)
    for name in names:
        contestants[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            times[name].append(_best_of_repeats(contestants[name]))
    return {name: Timing(tuple(values)) for name, values in times.items()}


def result_rows(
    case: Mapping[str, object], timings: Mapping[str, Timing], *, baseline: str
) -> list[dict[str, Any]]:
    """Rows of a result file for one case: each contestant's times and its ratio to ``baseline``."""
    return [
        {
            "case": dict(case),
            "contestant": name,
            **timing.row(),
            "ratio": round(timing.ratio_to(timings[baseline]), 4),
            "ratio_to": baseline,
        }
        for name, timing in timings.items()
    ]


def result_file(suite: str, settings: Mapping[str, object], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A result file: what ran, where, when, and its rows."""
    return {
        "schema": SCHEMA,
        "suite": suite,
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "settings": dict(settings),
        "results": rows,
    }


def machine_facts() -> dict[str, Any]:
    """Processor, threads, versions and load: what a time means nothing without."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": "cpu",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_tiles": bool(torch.cpu._is_amx_tile_supported()),
        "dcnv3_cpu": _describe_cpu_backend(),
        "load_average": None if load is None else [round(value, 2) for value in load],
    }


def _best_of_repeats(function: Callable[[], object]) -> float:
    best, spent = float("inf"), 0.0
    for _ in range(MOST_REPEATS):
        start = time.perf_counter()
        function()
        elapsed = time.perf_counter() - start
        best, spent = min(best, elapsed), spent + elapsed
        if spent >= SHORTEST_SAMPLE_SECONDS:
            break
    return best * 1e3


def _quartiles(values: tuple[float, ...]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _describe_cpu_backend() -> str:
    status = cpu.status()
    return status.detail if isinstance(status, Ready) else status.reason
