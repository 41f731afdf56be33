# SPDX-License-Identifier: MIT
"""Write the tables of the documents from the catalog and the benchmark results: ``python docs/tables.py``.

A table stands between two comments, ``<!-- table: NAME -->`` and ``<!-- end -->``; a test checks that
each is what this script would write.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from intern25.backbones.classifier import num_parameters
from intern25.data.preprocessing import Preprocessing
from intern25.generalist.model import Generalist
from intern25.generalist.presets import GENERALISTS
from intern25.weights.card import ModelCard
from intern25.weights.cards_classification import CLASSIFICATION
from intern25.weights.cards_detection import DETECTION
from intern25.weights.cards_segmentation import SEGMENTATION
from intern25.weights.catalog import CARDS
from intern25.weights.cost import cost_of, table_size
from intern25.weights.create import create_model

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

CLASSES_ZH = {
    "imagenet_1k": "ImageNet-1K", "imagenet_22k": "ImageNet-22K", "inaturalist_2018": "iNaturalist 2018",
    "caltech101": "Caltech-101", "coco": "COCO", "crowdhuman": "CrowdHuman", "lvis": "LVIS v1",
    "voc": "Pascal VOC", "bccd": "BCCD", "camvid": "CamVid",
    "openimages": "Open Images", "ade20k": "ADE20K", "cityscapes": "Cityscapes", "nyu40": "NYU Depth V2",
    "coco_stuff_164k": "COCO-Stuff", "pascal_context_59": "Pascal Context",
}  # fmt: skip


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@cache
def parameters(architecture: str, num_classes: int) -> str:
    """Size of a model, in millions or billions."""
    number = num_parameters(create_model(architecture, num_classes=num_classes, device="meta"))
    return f"{number / 1e9:.2f} B" if number >= 1e9 else f"{number / 1e6:.1f} M"


def size_of(card: ModelCard) -> str:
    """Parameters of a published model."""
    return parameters(card.id if card.head == "metadata_classifier" else card.architecture, card.num_classes)


@cache
def cost(name: str) -> tuple[str, str]:
    """Parameters and multiply-accumulates (authors' convention) of a classifier at the published size."""
    card = CARDS[name]
    model = create_model(card.id, device="meta")
    macs = cost_of(model, card.kind, table_size(card.task, card)).total
    return size_of(card), f"{macs / 1e9:.3g} G" if macs < 1e12 else f"{macs / 1e12:.3g} T"


def linked(card: ModelCard) -> str:
    """Name of a model, with its address where it has one."""
    return f"[`{card.id}`]({card.url})" if card.source == "hub" else f"`{card.id}`"


def model_rows() -> list[list[str]]:
    """One row a classifier of the catalog."""
    rows = []
    for card in CLASSIFICATION:
        assert isinstance(card.preprocessing, Preprocessing)
        top1 = card.metrics.get("top1")
        rows.append(
            [
                linked(card),
                str(card.preprocessing.image_size),
                *cost(card.id),
                CLASSES_ZH[card.classes],
                "-" if top1 is None else f"{top1:.1f}",
                card.licence,
            ]
        )
    return rows


def models_en() -> str:
    """The classifiers, in English."""
    return table(["model", "input", "parameters", "FLOPs", "classes", "top-1 %", "licence"], model_rows())


def models_zh() -> str:
    """The classifiers, in Chinese."""
    return table(["模型", "输入", "参数量", "FLOPs", "类别", "top-1 %", "许可"], model_rows())


_SOURCES = {
    "hub": {"en": "", "zh": ""},
    "package": {"en": " (in the package)", "zh": "（随包附带）"},
    "unpublished": {"en": " (weights never published)", "zh": "（未公布权重）"},
}


def head_rows(cards: Iterable[ModelCard], metrics: tuple[str, ...], language: str) -> list[list[str]]:
    """One row a detector or segmenter: input, size, published operations, classes, results."""
    rows = []
    for card in cards:
        assert not isinstance(card.preprocessing, Preprocessing)
        sides = f"{card.preprocessing.long_side} x {card.preprocessing.short_side}"
        operations = "-" if card.published_gflops is None else f"{card.published_gflops:.0f} G"
        results = (card.metrics.get(name) for name in metrics)
        rows.append(
            [
                linked(card) + _SOURCES[card.source][language],
                sides,
                size_of(card),
                operations,
                CLASSES_ZH[card.classes],
                *("-" if result is None else f"{result:.2f}".removesuffix("0") for result in results),
            ]
        )
    return rows


def detectors(language: str) -> str:
    """The detectors."""
    header = {
        "en": ["model", "picture", "parameters", "FLOPs", "classes", "box AP", "mask AP"],
        "zh": ["模型", "图片", "参数量", "FLOPs", "类别", "框 AP", "掩码 AP"],
    }[language]
    return table(header, head_rows(DETECTION, ("box_ap", "mask_ap"), language))


def segmenters(language: str) -> str:
    """The segmenters."""
    header = {
        "en": ["model", "picture", "parameters", "FLOPs", "classes", "mIoU %", "several scales"],
        "zh": ["模型", "图片", "参数量", "FLOPs", "类别", "mIoU %", "多尺度"],
    }[language]
    return table(header, head_rows(SEGMENTATION, ("miou", "miou_ms"), language))


def speed(suite: str, write: Callable[[Path, dict[str, Any]], str] | None = None) -> str:
    """Tables of every result file of ``suite``, one section a file, by ``write`` or ``speed_of``."""
    files = sorted(RESULTS.rglob("*.json"))
    results = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in files]
    parts = [(write or speed_of)(path, result) for path, result in results if result.get("suite") == suite]
    return "\n".join(parts) or "No results yet.\n"


def facts_of(path: Path, result: dict[str, Any]) -> str:
    """Which file, machine, day and versions a table is of."""
    machine = result["machine"]
    return (
        f"`{path.relative_to(ROOT).as_posix()}`: {machine['processor']}, {machine['threads']} threads, "
        f"torch {machine['torch']}, kernel {machine['dcnv3_cpu']}, {result['date'][:10]}, "
        f"intern25 {result['version']}"
    )


def speed_of(path: Path, result: dict[str, Any]) -> str:
    """One result file: machine facts, times and ratios, peak memory where it was measured."""
    rows = result["results"]
    parts = [
        facts_of(path, result),
        f"Median milliseconds, and in brackets the ratio to {rows[0]['ratio_to']}.",
        pivot(rows, lambda row: f"{row['median_ms']:.3g} ({row['ratio']:.3g})"),
    ]
    measured = [row for row in rows if row.get("peak_mib") is not None]
    if measured:
        parts += ["Peak memory, MiB.", pivot(measured, lambda row: f"{row['peak_mib']:.0f}")]
    return "\n\n".join(parts)


def tasks_of(path: Path, result: dict[str, Any]) -> str:
    """One result file of a generalist: a row a task, and what a fresh process takes."""
    rows = [[f"`{row['contestant']}`", f"{row['median_ms']:.3g}"] for row in result["results"]]
    peak = max(row.get("peak_mib") or 0 for row in result["results"])
    return "\n\n".join(
        [
            facts_of(path, result),
            table(["task", "median, ms"], rows).rstrip(),
            f"Peak memory of a process that loads the model and does every task once: {peak:.0f} MiB.\n",
        ]
    )


def ranking_of(path: Path, result: dict[str, Any]) -> str:
    """One result file of whole models, a row a model: parameters, work, and by image time and memory."""
    settings, rows = result["settings"], result["results"]
    sizes = list(dict.fromkeys((row["case"]["height"], row["case"]["width"]) for row in rows))
    work = next(iter(settings["work"].values()), {})
    kinds = list(dict.fromkeys(kind for counts in work.values() for kind in counts))
    cells: dict[str, list[str]] = {}
    for name, count in settings["parameters"].items():
        counts = [str(work[name].get(kind, "-")) for kind in kinds]
        cells[name] = [f"`{name}`", f"{count / 1e6:.1f} M", *counts]
    for row in rows:
        peak = row.get("peak_mib")
        time = f"{row['median_ms']:.0f} ({row['ratio']:.2f})"
        cells[row["contestant"]] += [time, "-" if peak is None else f"{peak:.0f}"]
    columns = [title for height, width in sizes for title in (f"{height} x {width}, ms", "MiB")]
    return "\n\n".join(
        [
            facts_of(path, result),
            f"Median milliseconds, in brackets the ratio to {rows[0]['ratio_to']}; peak memory in MiB.",
            table(["model", "parameters", *kinds, *columns], cells.values()),
        ]
    )


def pivot(rows: list[dict[str, Any]], cell: Callable[[dict[str, Any]], str]) -> str:
    """One row a case, one column a contestant."""
    contestants = list(dict.fromkeys(row["contestant"] for row in rows))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        cells.setdefault(tuple(map(str, row["case"].values())), {})[row["contestant"]] = cell(row)
    body = ([*case, *(found.get(name, "-") for name in contestants)] for case, found in cells.items())
    return table([*rows[0]["case"], *contestants], body)


def headline(language: str) -> str:
    """Float32 inference of the two main suites beside the peers, by the newest results of each."""
    header = {"en": ["batch", "pixels"], "zh": ["批量", "像素"]}[language]
    contestants = ("internimage_t optimized", "internimage_t", "convnext_tiny", "swin_tiny", "resnet50")
    cells: dict[tuple[str, str], dict[str, str]] = {}
    facts = ""
    for path in sorted(RESULTS.rglob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for row in result["results"] if result["suite"] == "models" else ():
            case = row["case"]
            if (case["dtype"], case["pass"]) == ("float32", "forward"):
                place = (str(case["batch"]), f"{case['height']} x {case['width']}")
                cells.setdefault(place, {})[row["contestant"]] = (
                    f"{row['median_ms']:.0f} ms ({row['ratio']:.2f})"
                )
                facts = f"{result['machine']['processor']}, {result['machine']['threads']}"
    rows = [
        [*place, *(found.get(name, "-") for name in contestants)] for place, found in sorted(cells.items())
    ]
    note = {
        "en": f"{facts} threads, float32; in brackets the ratio to convnext_tiny, smaller is faster.",
        "zh": f"{facts} 线程，float32；括号内为与 convnext_tiny 之比，越小越快。",
    }[language]
    return table([*header, *contestants], rows) + f"\n{note}\n"


_WHOLE = {
    "detectors": ("mask_rcnn_internimage_t", "maskrcnn_resnet50_fpn_v2"),
    "segmenters": ("upernet_internimage_t", "upernet_convnext_tiny"),
}
"""Of each suite our model and the peer that ratios are taken to."""


def headline_whole(language: str) -> str:
    """A detector and a segmenter beside the peer of like size, by the newest results of each suite."""
    header = {
        "en": ["model", "pixels", "optimized", "plain", "peer"],
        "zh": ["模型", "像素", "优化后", "未优化", "同类模型"],
    }[language]
    rows: dict[tuple[str, int, int], list[str]] = {}
    facts = ""
    for path in sorted(RESULTS.rglob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["suite"] not in _WHOLE:
            continue
        ours, peer = _WHOLE[result["suite"]]
        facts = f"{result['machine']['processor']}, {result['machine']['threads']}"
        found = {(r["contestant"], r["case"]["height"], r["case"]["width"]): r for r in result["results"]}
        for name, height, width in (key for key in found if key[0] == peer):
            times = [
                f"{row['median_ms']:.0f} ms ({row['ratio']:.2f})"
                for row in (found[n, height, width] for n in (f"{ours} optimized", ours, name))
            ]
            cells = [f"`{ours}`", f"{height} x {width}", *times[:2], f"`{name}` {times[2]}"]
            rows[ours, height, width] = cells
    note = {
        "en": f"{facts} threads, float32; in brackets the ratio to the peer, smaller is faster.",
        "zh": f"{facts} 线程，float32；括号内为与同类模型之比，越小越快。",
    }[language]
    return table(header, rows.values()) + f"\n{note}\n"


def generalists() -> str:
    """Parts of the generalist's architectures, in millions of parameters."""
    parts = {
        "image encoder": ("backbone", "global_tokens"),
        "proposals and pixels": ("proposals", "region_tokens", "dense_head"),
        "text core": ("text_core",),
        "unified decoder": ("decoder",),
    }
    rows = []
    for name, config in GENERALISTS.items():
        with torch.device("meta"):
            model = Generalist(config)
        millions = {child: num_parameters(module) / 1e6 for child, module in model.named_children()}
        cells = [f"{sum(millions[child] for child in children):.1f}" for children in parts.values()]
        rows.append([f"`{name}`", *cells, f"**{num_parameters(model) / 1e6:.1f}**"])
    return table(["millions of parameters", *parts, "all"], rows)


def generalist_results(language: str) -> str:
    """What the packaged generalist reaches beside answers without a look at the pictures."""
    # Beside this script, which tests load from its path alone.
    module = runpy.run_path(str(Path(__file__).with_name("generalist_figures.py")))
    header = {
        "en": ["test pictures unless it says validation", "intern25_tiny", "without a look"],
        "zh": ["测试集（注明者为验证集）", "intern25_tiny", "不看图"],
    }[language]
    return table(header, module["rows"](language))


TABLES: dict[str, Callable[[], str]] = {
    "generalist results": lambda: generalist_results("en"),
    "generalist results zh": lambda: generalist_results("zh"),
    "generalists": generalists,
    "models": models_en,
    "models zh": models_zh,
    "detectors": lambda: detectors("en"),
    "detectors zh": lambda: detectors("zh"),
    "segmenters": lambda: segmenters("en"),
    "segmenters zh": lambda: segmenters("zh"),
    "speed operator": lambda: speed("operator"),
    "speed deform_attn": lambda: speed("deform_attn"),
    "speed models": lambda: speed("models"),
    "speed detectors": lambda: speed("detectors", ranking_of),
    "speed segmenters": lambda: speed("segmenters", ranking_of),
    "speed generalist": lambda: speed("generalist", tasks_of),
    "speed headline": lambda: headline("en"),
    "speed headline zh": lambda: headline("zh"),
    "speed whole": lambda: headline_whole("en"),
    "speed whole zh": lambda: headline_whole("zh"),
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
