# SPDX-License-Identifier: MIT
"""Rules of the house that a machine can check: import direction, sizes, names, docstrings, versions."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from intern25 import __version__

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "intern25"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]

# Layer of each part; a module imports from its own layer or lower ones, lazy imports included.
LAYERS = {
    "_version": 0,
    "defaults": 0,
    "ops": 1,
    "data": 1,
    "layers": 2,
    "backbones": 2,
    "results": 2,
    "drawing": 2,
    "detection": 3,
    "segmentation": 3,
    "generalist": 3,
    # Its batches hold the detectors' own targets.
    "data/detection": 4,
    "weights": 4,
    "evaluation": 5,
    # A task knows its metric.
    "generalist/tasks": 5,
    "training": 6,
    "bundle": 7,
    "predictors": 8,
    "search": 8,
    "demo": 9,
    "cli": 9,
    "__main__": 10,
    "__init__": 10,
}

# Tables of data may be longer than code.
TABLES = {"weights/catalog.py"}
FORBIDDEN_NAMES = {"utils", "util", "misc", "common", "helpers", "helper"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_of(parts: tuple[str, ...]) -> int:
    inner = "/".join(parts[:2])
    if inner in LAYERS:
        return LAYERS[inner]
    name = parts[0].removesuffix(".py")
    assert name in LAYERS, f"{name} has no layer: add it to LAYERS"
    return LAYERS[name]


def imports_of(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    """Parts of every ``intern25...`` module that is imported, without the leading ``intern25``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "intern25":
                yield from ((alias.name,) for alias in node.names)
            elif (node.module or "").startswith("intern25."):
                yield tuple((node.module or "").split(".")[1:])
        elif isinstance(node, ast.Import):
            yield from (tuple(a.name.split(".")[1:]) for a in node.names if a.name.startswith("intern25."))


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_one_way(name: str) -> None:
    own = layer_of(Path(name).parts)
    for parts in imports_of(tree_of(PACKAGE / name)):
        if parts[0].startswith("__version__"):
            continue
        assert layer_of(parts) <= own, f"{name} imports intern25.{'.'.join(parts)}, which is above it"


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert name in TABLES or text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            documentation = ast.get_docstring(node, clean=False)
            lines -= documentation.count("\n") + 1 if documentation else 0
            assert lines <= 80, f"{node.name} has {lines} lines besides its docstring"


@pytest.mark.parametrize("name", NAMES)
def test_header_and_file_name(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: MIT\n")
    assert ast.get_docstring(ast.parse(text)), "a module says what it is in its first line"
    assert Path(name).stem not in FORBIDDEN_NAMES


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public classes and functions of a module, and public methods of public classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, kinds) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_docstring(name: str) -> None:
    for definition, node in public_definitions(tree_of(PACKAGE / name)):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        is_overload = any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)
        assert is_overload or ast.get_docstring(node), f"{definition} has no docstring"


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_never_unpickled_freely(name: str) -> None:
    for node in ast.walk(tree_of(PACKAGE / name)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("weights_only") == "True"


def test_the_version_is_in_every_place() -> None:
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def text_files() -> Iterator[Path]:
    folders = ("src", "tests", "docs", "examples", "benchmarks", ".ci", ".github")
    kinds = {".py", ".md", ".cpp", ".h", ".yml", ".toml", ".json", ".cff", "", ".tsv"}
    for folder in folders:
        yield from (p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix in kinds)
    yield from (p for p in ROOT.iterdir() if p.is_file() and p.suffix in kinds and p.name != ".git")


def test_the_repository_speaks_of_the_project_alone() -> None:
    # Spelled apart, so that this file does not find itself.
    machine_paths = re.compile(
        "|".join(["/" + "work/", "/" + "root/", "/" + "home/[a-z]", r"C:\\Use" + "rs"])
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in text_files()
        if "__pycache__" not in path.parts
        for match in [machine_paths.search(path.read_text(encoding="utf-8", errors="replace"))]
        if match
    ]
    assert not found, found


def test_everything_that_is_loaded_at_run_time_is_shipped() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["intern25"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assets = {path for path in (PACKAGE / "assets").rglob("*") if path.is_file()}
    assert assets <= shipped, assets - shipped
    assert PACKAGE / "py.typed" in shipped
