# SPDX-License-Identifier: MIT
"""Write the tables of the documents from the catalog and the benchmark results: ``python docs/tables.py``.

A table stands between two comments, ``<!-- table: NAME -->`` and ``<!-- end -->``; a test checks that
each is what this script would write.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from intern25.backbones.classifier import num_parameters
from intern25.backbones.flops import count_macs
from intern25.weights.catalog import CARDS
from intern25.weights.create import create_model

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

CLASSES_ZH = {
    "imagenet_1k": "ImageNet-1K", "imagenet_22k": "ImageNet-22K", "inaturalist_2018": "iNaturalist 2018",
    "caltech101": "Caltech-101",
}  # fmt: skip


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@cache
def cost(name: str) -> tuple[str, str]:
    """Parameters and multiply-accumulates (authors' convention) at the published size."""
    card = CARDS[name]
    model = create_model(card.id, device="meta")
    macs = count_macs(model, card.preprocessing.image_size).total
    parameters = num_parameters(model)
    size = f"{parameters / 1e9:.2f} B" if parameters >= 1e9 else f"{parameters / 1e6:.1f} M"
    return size, f"{macs / 1e9:.3g} G" if macs < 1e12 else f"{macs / 1e12:.3g} T"


def model_rows() -> list[list[str]]:
    """One row a model of the catalog."""
    rows = []
    for card in CARDS.values():
        top1 = card.metrics.get("top1")
        name = f"`{card.id}`"
        rows.append(
            [
                name if card.source == "package" else f"[{name}]({card.url})",
                str(card.preprocessing.image_size),
                *cost(card.id),
                CLASSES_ZH[card.classes],
                "-" if top1 is None else f"{top1:.1f}",
                card.licence,
            ]
        )
    return rows


def models_en() -> str:
    """The catalog, in English."""
    return table(["model", "input", "parameters", "FLOPs", "classes", "top-1 %", "licence"], model_rows())


def models_zh() -> str:
    """The catalog, in Chinese."""
    return table(["模型", "输入", "参数量", "FLOPs", "类别", "top-1 %", "许可"], model_rows())


def speed(suite: str) -> str:
    """Tables of every result file of ``suite``, one section a file."""
    files = sorted(RESULTS.rglob("*.json"))
    results = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in files]
    parts = [speed_of(path, result) for path, result in results if result.get("suite") == suite]
    return "\n".join(parts) or "No results yet.\n"


def speed_of(path: Path, result: dict[str, Any]) -> str:
    """One result file: machine facts, times and ratios, peak memory where it was measured."""
    machine, rows = result["machine"], result["results"]
    facts = (
        f"`{path.relative_to(ROOT).as_posix()}`: {machine['processor']}, {machine['threads']} threads, "
        f"torch {machine['torch']}, kernel {machine['dcnv3_cpu']}, {result['date'][:10]}, "
        f"intern25 {result['version']}"
    )
    parts = [
        facts,
        f"Median milliseconds, and in brackets the ratio to {rows[0]['ratio_to']}.",
        pivot(rows, lambda row: f"{row['median_ms']:.3g} ({row['ratio']:.3g})"),
    ]
    measured = [row for row in rows if row.get("peak_mib") is not None]
    if measured:
        parts += ["Peak memory, MiB.", pivot(measured, lambda row: f"{row['peak_mib']:.0f}")]
    return "\n\n".join(parts)


def pivot(rows: list[dict[str, Any]], cell: Callable[[dict[str, Any]], str]) -> str:
    """One row a case, one column a contestant."""
    contestants = list(dict.fromkeys(row["contestant"] for row in rows))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        cells.setdefault(tuple(map(str, row["case"].values())), {})[row["contestant"]] = cell(row)
    body = ([*case, *(found.get(name, "-") for name in contestants)] for case, found in cells.items())
    return table([*rows[0]["case"], *contestants], body)


TABLES: dict[str, Callable[[], str]] = {
    "models": models_en,
    "models zh": models_zh,
    "speed operator": lambda: speed("operator"),
    "speed models": lambda: speed("models"),
}


def documents() -> list[Path]:
    """Every document that may hold a table."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def rendered(text: str) -> str:
    """``text`` with every marked table written anew."""
    return MARKED.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}", text)


def main() -> None:
    """Write the tables and name the documents that changed."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        new = rendered(text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
