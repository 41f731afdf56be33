# SPDX-License-Identifier: MIT
"""Learning rate as a function of the update: linear warm-up, then one cosine, by timm's scheduler."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer


class CosineSchedule:
    r"""Cosine with linear warm-up, per update.

    $$ \eta(t) = \eta_w + (\eta - \eta_w)\,t / T_w \quad (t < T_w), \qquad
    \eta(t) = \eta_m + \tfrac12 (\eta - \eta_m)(1 + \cos(\pi t / T)) $$

    The cosine counts from update 0, not from the end of the warm-up, and after ``T`` the rate stays at the
    minimum, as in the official training. Warm-up and minimum rates are the same for all parameter groups.

    Args:
        optimizer: Its groups' learning rates at this moment are the peaks.
        num_updates: ``T``.
        warmup_updates: ``T_w``.
        warmup_lr: Rate of update 0.
        min_lr: Rate of the end.
    """

    def __init__(
        self, optimizer: Optimizer, *, num_updates: int, warmup_updates: int, warmup_lr: float, min_lr: float
    ) -> None:
        from timm.scheduler.cosine_lr import CosineLRScheduler

        self._scheduler: Any = CosineLRScheduler(
            optimizer,
            t_initial=num_updates,
            lr_min=min_lr,
            warmup_t=warmup_updates,
            warmup_lr_init=warmup_lr,
            cycle_limit=1,
            t_in_epochs=False,
        )

    def set(self, update: int) -> None:
        """Set the optimizer's rates to those of ``update``; any order of calls gives the same rates."""
        self._scheduler.step_update(update)
