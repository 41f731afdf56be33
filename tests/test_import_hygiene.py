# SPDX-License-Identifier: MIT
"""What importing the package and asking for help may load: modules first, with a generous bound on time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = {
    "PIL", "accelerate", "av", "cv2", "diffusers", "fastapi", "gradio", "huggingface_hub", "lancedb",
    "matplotlib", "pandas", "pyarrow", "rich", "safetensors", "scipy", "timm", "torchvision", "transformers",
    "triton", "tyro", "webdataset",
}  # fmt: skip

GENEROUS_SECONDS = 10.0


def loaded_after(statement: str) -> set[str]:
    """Top-level modules in a fresh process after ``statement``."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_loads_nothing_heavy() -> None:
    # Compared with torch alone: whatever torch itself loads is not ours.
    assert not (loaded_after("import intern25, torch") - loaded_after("import torch")) & HEAVY


def test_import_is_instant() -> None:
    assert "torch" not in loaded_after("import intern25")


def test_public_names_are_there() -> None:
    loaded_after("import intern25\nfor name in intern25.__all__: getattr(intern25, name)")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["classify"],
        ["detect"],
        ["segment"],
        ["search"],
        ["search", "index"],
        ["search", "moments"],
        ["ask"],
        ["demo"],
        ["train"],
        ["train", "classify"],
        ["train", "detect"],
        ["train", "segment"],
        ["train", "generalist"],
        ["eval", "classify"],
        ["eval", "detect"],
        ["eval", "segment"],
        ["eval", "generalist"],
        ["convert"],
        ["bench", "op"],
        ["bench", "detector"],
        ["bench", "generalist"],
        ["info"],
    ],
)
def test_help_does_not_load_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom intern25.cli.main import main\n"
        f"try: main({[*words, '--help']!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print('MODULES', *sys.modules)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    seconds = time.perf_counter() - start
    text, _, modules = done.stdout.partition("MODULES ")
    assert "usage: intern25" in text
    loaded = {name.partition(".")[0] for name in modules.split()}
    allowed = {"tyro", "rich"} if words else set()
    assert not loaded & ((HEAVY - allowed) | {"torch", "numpy"})
    assert seconds < GENEROUS_SECONDS


def test_importing_touches_no_network_and_no_file(tmp_path: object) -> None:
    """Audit events of the import: no sockets, nothing opened for writing."""
    code = (
        "import sys\n"
        "def watch(event, args):\n"
        "    if event.startswith('socket.'): raise SystemExit(f'socket: {event}')\n"
        "    if event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+'):\n"
        "        raise SystemExit(f'written: {args[0]}')\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(watch)\n"
        "import intern25, intern25.predictors, intern25.cli.main\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
