# SPDX-License-Identifier: MIT
"""The packs of the reference data as tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from intern25.data.packs import PackFolder
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.packs.settings import PackSettings
from intern25.training.generalist.packs.tiny import BUILDERS, tiny_mixture
from tests.generalist.small_model import small_generalist

SETTINGS = PackSettings(tokenizer=Tokenizer.packaged(), evaluate_most=4, scenes=64)


@pytest.mark.shared
@pytest.mark.parametrize("name", BUILDERS)
def test_every_task_of_the_packs_can_be_learnt(name: str, shared_root: Path) -> None:
    mixture = tiny_mixture(shared_root / "data", SETTINGS, tasks=(name,))
    part = next(part for part in mixture.parts if part.task.name == name)
    model = small_generalist().train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = part.task.losses(model, part.task.batch([0, 1], seed=3))
    total = torch.stack([loss.float() for loss in losses.values()]).sum()
    total.backward()
    assert torch.isfinite(total)
    assert any(bool(p.grad.any()) for p in model.backbone.parameters() if p.grad is not None)


def test_a_folder_without_packs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no data pack"):
        PackFolder.open(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        PackFolder.open(tmp_path / "none")
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="there is no task 'paint'; the tasks are classify_objects"):
        tiny_mixture(tmp_path, SETTINGS, tasks=("paint",))
    with pytest.raises(ValueError, match="there is no task to train"):
        tiny_mixture(tmp_path, SETTINGS, tasks=("classify",))
