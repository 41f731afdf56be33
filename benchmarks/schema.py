# SPDX-License-Identifier: MIT
"""The layout of result files: what every reader of ``results/`` may rely on."""

from __future__ import annotations

from typing import Any

SUITES = ("operator", "deform_attn", "models", "detectors", "segmenters", "generalist")
FILE_FIELDS = {
    "schema": int,
    "suite": str,
    "version": str,
    "date": str,
    "machine": dict,
    "settings": dict,
    "results": list,
}
MACHINE_FIELDS = (
    "processor",
    "cores",
    "threads",
    "system",
    "device",
    "torch",
    "python",
    "dcnv3_cpu",
    "load_average",
)
ROW_NUMBERS = ("median_ms", "minimum_ms", "iqr_ms", "rounds", "ratio")


def problems(content: dict[str, Any]) -> list[str]:
    """What is wrong with a result file; an empty list if nothing is."""
    found = [
        f"{name} is missing or no {kind.__name__}"
        for name, kind in FILE_FIELDS.items()
        if not isinstance(content.get(name), kind)
    ]
    if found:
        return found
    if content["schema"] != 1 or content["suite"] not in SUITES:
        found.append(f"schema {content['schema']} or suite {content['suite']!r} is unknown")
    found += [f"machine.{name} is missing" for name in MACHINE_FIELDS if name not in content["machine"]]
    for index, row in enumerate(content["results"]):
        found += [f"results[{index}].{problem}" for problem in _row_problems(row)]
    return found


def _row_problems(row: dict[str, Any]) -> list[str]:
    found = [f"{name} is no positive number" for name in ROW_NUMBERS if not _is_number(row.get(name))]
    if not isinstance(row.get("case"), dict) or not isinstance(row.get("contestant"), str):
        found.append("case or contestant is missing")
    if not found and row["minimum_ms"] > row["median_ms"]:
        found.append("minimum_ms is above median_ms")
    if row.get("peak_mib") is not None and not _is_number(row["peak_mib"]):
        found.append("peak_mib is no number")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
