# SPDX-License-Identifier: MIT
"""Nothing is drawn on the meta device, everything elsewhere; loading a small model imports little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from intern25.layers.uninitialised import Uninitialised
from tests.used_generalist import save_used_generalist


def test_only_meta_tensors_stay_empty() -> None:
    with Uninitialised():
        torch.manual_seed(3)
        filled = [nn.Linear(4, 4).weight, nn.init.normal_(torch.zeros(5)), torch.zeros(5).uniform_()]
    torch.manual_seed(3)
    expected = [nn.Linear(4, 4).weight, nn.init.normal_(torch.zeros(5)), torch.zeros(5).uniform_()]
    assert all(torch.equal(a, b) for a, b in zip(filled, expected, strict=True))
    with torch.device("meta"), Uninitialised():
        weight = nn.init.normal_(torch.empty(2, 3))
        assert weight.is_meta
        assert nn.init.kaiming_uniform_(weight) is weight


def test_loading_imports_neither_a_compiler_nor_torchvision(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_used_generalist(path)
    code = (
        "import sys, torch\nbefore = set(sys.modules)\nimport intern25\n"
        f"intern25.load({str(path)!r})\nprint(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = set(done.stdout.split())
    assert "safetensors" in loaded
    assert not loaded & {"torch._dynamo", "torchvision", "transformers", "triton", "sympy"}
