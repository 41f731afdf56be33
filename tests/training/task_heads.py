# SPDX-License-Identifier: MIT
"""A small model of three tasks: a shared layer and one head a task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SHARES = {"ask": 0.5, "detect": 0.3, "read": 0.2}
HEADS = ("ask", "detect", "read")
ORDER = ["detect", "ask", "ask", "read", "detect", "ask", "read", "ask", "detect", "ask"] * 2


class Heads(nn.Module):
    """A shared layer and one head a task."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.shared = nn.Linear(5, 4, dtype=dtype)
        self.heads = nn.ModuleDict({task: nn.Linear(4, 3, dtype=dtype) for task in HEADS})
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=dtype)

    def forward(self, x: Tensor, task: str) -> Tensor:
        return self.heads[task](self.shared(x).tanh())  # type: ignore[no-any-return]


def batch_of(update: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(update), dtype=dtype)


def groups_of(model: Heads) -> list[dict[str, Any]]:
    heads = list(model.heads.parameters())
    return [
        {"params": list(model.shared.parameters()), "lr": 0.02, "weight_decay": 0.1},
        {"params": heads, "lr": 0.01},
    ]
