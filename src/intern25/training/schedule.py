# SPDX-License-Identifier: MIT
"""Learning rate as a function of the update alone, so that a resumed run asks for any update first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch.optim import Optimizer


class Schedule(Protocol):
    """Sets the learning rates of an optimizer."""

    def set(self, update: int) -> None:
        """Set the rates of ``update``; any order of calls gives the same rates."""
        ...


class CosineSchedule:
    r"""Cosine with linear warm-up, per update, by timm's scheduler: classification.

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


class FactorSchedule:
    """Multiplies the peak rate of every parameter group with one factor: detection and segmentation.

    Args:
        optimizer: Its groups' learning rates at this moment are the peaks.
        factor: From the update to the factor.
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        self._optimizer = optimizer
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        self._factor = factor

    def set(self, update: int) -> None:
        """Set the optimizer's rates to those of ``update``; any order of calls gives the same rates."""
        factor = self._factor(update)
        # Loading a checkpoint replaces the groups, so they are looked up each time.
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor


@dataclass(frozen=True, kw_only=True, slots=True)
class RateCurve:
    r"""Share of the peak rate at an update: a linear warm-up times steps, a polynomial or a cosine.

    $$ f(t) = \bigl(1 - (1 - \min(t / T_w, 1))(1 - r)\bigr)\, g(t), \qquad
    g(t) = 0.1^{|\{m \le t\}|},\; (1 - t / T)^p \;\text{or}\; \tfrac12 (1 + \cos(\pi t / T)) $$

    Source:
        The step and poly updaters of mmcv 1.5 with linear warm-up.
    """

    kind: Literal["step", "poly", "cosine"]
    """Which ``g``."""
    num_updates: int
    """``T``."""
    warmup_updates: int = 0
    """``T_w``."""
    warmup_ratio: float = 1e-3
    """``r``, the share at update 0."""
    milestones: tuple[int, ...] = ()
    """``m``, the updates of the steps."""
    power: float = 1.0
    """``p``."""

    def __call__(self, update: int) -> float:
        """Return the share at ``update``."""
        warm = min(update / self.warmup_updates, 1.0) if self.warmup_updates else 1.0
        return (1.0 - (1.0 - warm) * (1.0 - self.warmup_ratio)) * self._after_warmup(update)

    def _after_warmup(self, update: int) -> float:
        if self.kind == "step":
            return 0.1 ** sum(milestone <= update for milestone in self.milestones)
        done = min(update / self.num_updates, 1.0)
        if self.kind == "poly":
            return float((1.0 - done) ** self.power)
        return 0.5 * (1.0 + math.cos(math.pi * done))
