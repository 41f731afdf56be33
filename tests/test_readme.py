# SPDX-License-Identifier: MIT
"""README and docs: every Python block runs, every command fits its options, tables and links are right."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import tyro

from intern25.cli.ask import AskOptions
from intern25.cli.bench import GeneralistBenchOptions, ModelOptions, OperatorOptions, WholeModelOptions
from intern25.cli.caption import CaptionOptions
from intern25.cli.classify import ClassifyOptions
from intern25.cli.convert import ConvertOptions
from intern25.cli.demo import DemoOptions
from intern25.cli.detect import DetectOptions
from intern25.cli.evaluate import EvaluateOptions
from intern25.cli.evaluate_downstream import DetectionOptions as EvaluateDetectionOptions
from intern25.cli.evaluate_downstream import SegmentationOptions as EvaluateSegmentationOptions
from intern25.cli.info import InfoOptions
from intern25.cli.main import COMMANDS
from intern25.cli.search import IndexOptions, SearchOptions
from intern25.cli.search_moments import MomentOptions
from intern25.cli.segment import SegmentOptions
from intern25.cli.text_options import TextOptions
from intern25.cli.train import DetectionOptions as TrainDetectionOptions
from intern25.cli.train import SegmentationOptions as TrainSegmentationOptions
from intern25.cli.train import TrainOptions
from intern25.cli.train_generalist import EvaluateGeneralistOptions, GeneralistOptions
from intern25.predictors import DEFAULT_MODEL
from intern25.weights.catalog import CARDS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(
    r"^(<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)

OPTIONS = {
    ("classify",): ClassifyOptions,
    ("detect",): DetectOptions,
    ("segment",): SegmentOptions,
    ("search",): SearchOptions,
    ("search", "index"): IndexOptions,
    ("search", "moments"): MomentOptions,
    ("train", "classify"): TrainOptions,
    ("train", "detect"): TrainDetectionOptions,
    ("train", "segment"): TrainSegmentationOptions,
    ("train", "generalist"): GeneralistOptions,
    ("eval", "classify"): EvaluateOptions,
    ("eval", "detect"): EvaluateDetectionOptions,
    ("eval", "segment"): EvaluateSegmentationOptions,
    ("eval", "generalist"): EvaluateGeneralistOptions,
    ("ask",): AskOptions,
    ("caption",): CaptionOptions,
    ("read",): TextOptions,
    ("convert",): ConvertOptions,
    ("demo",): DemoOptions,
    ("bench", "op"): OperatorOptions,
    ("bench", "deform_attn"): OperatorOptions,
    ("bench", "model"): ModelOptions,
    ("bench", "detector"): WholeModelOptions,
    ("bench", "generalist"): GeneralistBenchOptions,
    ("bench", "segmenter"): WholeModelOptions,
    ("info",): InfoOptions,
}


@dataclass(frozen=True)
class Block:
    document: Path
    number: int
    kind: str
    code: str
    is_run: bool

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}-{self.number}"


def blocks(kind: str) -> Iterator[Block]:
    for document in DOCUMENTS:
        for number, match in enumerate(BLOCK.finditer(document.read_text(encoding="utf-8"))):
            if match["kind"] == kind:
                yield Block(document, number, kind, match["code"], is_run=match["why"] is None)


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.is_run], ids=str)
def test_python_block_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "intern25.load()" in block.code and not CARDS[DEFAULT_MODEL].available:
        pytest.skip(f"{DEFAULT_MODEL} is not in this checkout")
    shutil.copytree(ROOT / "examples" / "images", tmp_path / "examples" / "images")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [block for block in blocks("python") if not block.is_run], ids=str)
def test_python_block_that_is_not_run_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec")


@pytest.mark.parametrize("block", [*blocks("json")], ids=str)
def test_json_block_is_json(block: Block) -> None:
    json.loads(block.code)


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for block in blocks("bash"):
        for line in block.code.splitlines():
            for part in re.split(r" && | \| ", line):
                words = shlex.split(part.partition("-m intern25 ")[2] or part)
                if "-m intern25 " in part:
                    yield f"{block}: {line}", words
                elif words[:1] == ["intern25"]:
                    yield f"{block}: {line}", words[1:]


@pytest.mark.parametrize(("where", "words"), [pytest.param(*row, id=row[0]) for row in command_lines()])
def test_command_line_fits_its_options(where: str, words: list[str]) -> None:
    depth = 2 if words[0] in ("train", "eval", "bench") or tuple(words[:2]) in OPTIONS else 1
    assert words[0] in COMMANDS, where
    tyro.cli(OPTIONS[tuple(words[:depth])], args=words[depth:], config=(tyro.conf.FlagCreatePairsOff,))


def tables_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_what_the_script_writes() -> None:
    tables = tables_module()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert tables.rendered(text) == text, f"{document.name} is out of date: run python docs/tables.py"


def test_a_ranking_has_a_row_a_model() -> None:
    """Results of whole detectors, two sizes of which one model has no memory."""
    rows = [
        {
            "case": {"height": height, "width": 64},
            "contestant": name,
            "median_ms": 10.0 * height,
            "ratio": 0.5,
        }
        | {"ratio_to": "peer", "peak_mib": peak}
        for height in (32, 64)
        for name, peak in (("ours", None), ("peer", 7.4))
    ]
    settings = {
        "parameters": {"ours": 1_500_000, "peer": 2_000_000},
        "work": {"32x64": {"ours": {"boxes": 100}, "peer": {"boxes": 100, "masks": 99}}},
    }
    machine = {"processor": "a processor", "threads": 2, "torch": "2", "dcnv3_cpu": "avx2"}
    result = {"machine": machine, "settings": settings, "results": rows, "date": "2026-01-01", "version": "1"}
    lines = tables_module().ranking_of(ROOT / "results.json", result).splitlines()
    assert lines[-4:] == [
        "| model | parameters | boxes | masks | 32 x 64, ms | MiB | 64 x 64, ms | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| `ours` | 1.5 M | 100 | - | 320 (0.50) | - | 640 (0.50) | - |",
        "| `peer` | 2.0 M | 100 | 99 | 320 (0.50) | 7 | 640 (0.50) | 7 |",
    ]


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_both_readmes_say_the_same() -> None:
    """Same blocks (comments aside), same headings in number, same links."""

    def outline(name: str) -> tuple[list[str], list[str], list[str]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        codes = [re.sub(r" *#.*", "", match["code"]) for match in BLOCK.finditer(text)]
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("README")]
        return codes, re.findall(r"^#+ ", text, re.MULTILINE), links

    assert outline("README.md") == outline("README_zh.md")


def test_navigation_lists_every_page() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)


def test_reference_names_exist() -> None:
    for name in re.findall(
        r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
