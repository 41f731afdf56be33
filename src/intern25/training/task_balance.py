# SPDX-License-Identifier: MIT
"""Task-Balanced Gradient Normalisation: AdamW, or Muon, in which no task shouts the others down.

Each update trains one task. Its gradient is brought to a chosen length and enters the moments with the
inverse of the task's share, so that the moments average over tasks as if all had been trained at once.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from intern25.training.moment_history import History, advance
from intern25.training.muon import step_adamw, step_orthogonal
from intern25.training.optimizer import hidden_matrices, parameter_groups
from intern25.training.parameter_rules import ParameterRule

Untouched = Literal["skip", "decay"]
_Member = tuple[Tensor, Tensor, dict[str, Any]]
"""A parameter, its gradient and its state."""
_SUM_TOLERANCE = 1e-6
_SMALL = 8192
_PLAIN_NORMS = (1e-6, 1e6)
"""Norms of gradients whose squares are safe in float32."""
_logger = logging.getLogger(__name__)


class TaskBalancedAdamW(Optimizer):
    r"""AdamW on gradients of one task an update, each of a chosen length and weighed by the task's rarity.

    $$ g_t = \omega_k \frac{\nabla_t}{\lVert \nabla_t \rVert}, \qquad
    m_t = (1 - b_1) m_{t-1} + \frac{b_1}{s_k} g_t, \qquad
    n_t = (1 - b_2) n_{t-1} + \frac{b_2}{s_k} g_t^2 $$
    $$ \theta_t = (1 - \alpha\lambda)\,\theta_{t-1}
    - \alpha\, \frac{m_t / (1 - (1 - b_1)^t)}{\sqrt{n_t / (1 - (1 - b_2)^t)} + \epsilon} $$

    with ``k`` the task of update ``t`` and the norm taken over all gradients of the update. As task ``k``
    comes with probability ``s_k``, ``m`` averages to the sum over tasks of the mean ``g``.

    Convention: ``b_1`` and ``b_2`` are the shares of the moments that an update replaces, ``1 - beta`` of
    AdamW. A rare task must still be in ``n`` when it comes again, so ``b_2`` is better not above its share;
    and the first updates are up to :math:`1/\sqrt{s_k}` times as long as AdamW's, so warm the rate up.

    **Parameters that an update leaves without gradient.** The formula says that their moments decay, since
    the task contributes 0 (``untouched="decay"``): then they also move between the updates that touch them,
    as fast as shared parameters do. With ``untouched="skip"`` nothing of them changes, as in torch's
    optimizers, and their moments, bias correction and weight decay count only the updates that touch them.
    Among those, task ``k`` comes with probability :math:`s_k / S_T`, so the factor :math:`1 / s_k` becomes

    $$ \frac{S_T}{s_k}, \qquad S_T = \sum_{j \in T} s_j $$

    with ``T`` the tasks that touch the parameter. ``m`` averages to the same sum either way. A parameter of
    all tasks has :math:`S_T = 1`, the formula above; the head of one task has the factor 1, plain AdamW on
    gradients of length :math:`\omega_k`. ``T`` is learnt: a task belongs to it until it was trained without
    touching the parameter, and for good once it touched it.

    **Orthogonal groups** take Muon's step on :math:`G = \frac{S_T}{s_k} g_t`.

    Gradients that are not finite leave everything as it was; to report them is the part of the check of the
    loss. Each step waits for the gradients' norm. The state holds ``m`` and ``n`` as
    :func:`intern25.training.moment_history.advance` divides them, so that torch's fused AdamW does the update
    in one pass over memory.

    Args:
        groups: Parameters, or groups with ``params`` and any of ``lr``, ``weight_decay`` and ``orthogonal``.
        lr: Learning rate of groups without their own.
        shares: ``s_k``, the share of the updates that train each task; their sum is 1.
        weights: ``omega_k``, 1 where missing. With 1 all tasks contribute equally, however rare; with
            ``omega_k = s_k`` a task has influence in proportion to how often it is sampled.
        fractions: ``b_1`` and ``b_2``.
        momentum: Muon's, in orthogonal groups.
        eps: Added to the root of the second moment, in units of the normalised gradient.
        weight_decay: ``lambda`` of groups without their own.
        untouched: What happens to parameters without gradient.

    Raises:
        ValueError: A number is out of range, or a weight belongs to no task.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = TaskBalancedAdamW([weight], lr=0.1, shares={"vqa": 0.5, "caption": 0.5})
        >>> optimizer.task = "vqa"
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> optimizer.step()
        >>> weight.detach()  # -0.1 / sqrt(0.5)
        tensor([-0.1414, -0.1414])

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, section 3.3 (MT-AdamW in its first version). The treatment of
        untouched parameters and of orthogonal groups is ours.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        *,
        lr: float,
        shares: Mapping[str, float],
        weights: Mapping[str, float] | None = None,
        fractions: tuple[float, float] = (0.1, 0.01),
        momentum: float = 0.95,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        untouched: Untouched = "skip",
    ) -> None:
        _check_tasks(shares, weights or {})
        if not all(0.0 < fraction <= 1.0 for fraction in fractions):
            raise ValueError(f"fractions={fractions} must lie in (0, 1]; they are 1 - beta of AdamW")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum={momentum} must be in [0, 1)")
        if untouched not in ("skip", "decay"):
            raise ValueError(f"untouched={untouched!r} must be 'skip' or 'decay'")
        defaults = {
            "lr": lr,
            "fractions": fractions,
            "momentum": momentum,
            "eps": eps,
            "weight_decay": weight_decay,
            "orthogonal": False,
            "tasks": tuple(sorted(shares)),
        }
        super().__init__(groups, defaults)
        self.shares = {name: float(shares[name]) for name in sorted(shares)}
        self.weights = {name: float((weights or {}).get(name, 1.0)) for name in self.shares}
        self.untouched = untouched
        self._task: str | None = None

    @property
    def task(self) -> str | None:
        """The task whose gradients the next steps are given; None until it is set."""
        return self._task

    @task.setter
    def task(self, name: str) -> None:
        """Set the task.

        Raises:
            ValueError: It has no share.
        """
        if name not in self.shares:
            raise ValueError(f"task={name!r} has no share; the tasks are {', '.join(self.shares)}")
        self._task = name

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what ``state_dict`` gave.

        Raises:
            ValueError: It belongs to other tasks.
        """
        for group in state_dict["param_groups"]:
            theirs = ", ".join(group.get("tasks", ()))
            if theirs != ", ".join(self.shares):
                raise ValueError(
                    f"the optimizer state is that of the tasks ({theirs}), but these are "
                    f"({', '.join(self.shares)}); start from the weights alone"
                )
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["history"] = tuple(state["history"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one update for :attr:`task`; returns the closure's loss.

        Raises:
            ValueError: No task is set, or an orthogonal group is sharded.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = _norm(gradients)
        if not math.isfinite(norm):
            _logger.warning(
                "the norm of the gradients of task %s is %s; nothing was updated", self._task, norm
            )
            return loss
        self._initialise()
        if self._task is None:
            # torch.distributed.checkpoint makes the state by one step with gradients of 0.
            if norm:
                raise ValueError("the optimizer does not know whose gradients these are; set its task first")
            return loss
        length = self.weights[self._task]
        if norm and not _PLAIN_NORMS[0] < norm < _PLAIN_NORMS[1]:
            torch._foreach_mul_(gradients, 1.0 / norm)
            norm = 1.0
        for group in self.param_groups:
            for history, members in self._alike(group).items():
                self._update(group, History(*history), members, length / norm if norm else length)
        return loss

    def _initialise(self) -> None:
        """Make the state of all parameters, so that checkpoints are complete after the first update."""
        if len(self.state) == sum(len(group["params"]) for group in self.param_groups):
            return
        for group in self.param_groups:
            moments = ("momentum",) if group["orthogonal"] else ("exp_avg", "exp_avg_sq")
            for parameter in group["params"]:
                if group["orthogonal"] and isinstance(parameter, DTensor):
                    raise ValueError(
                        "orthogonal=True needs whole matrices, which parallel='fsdp' splits; use 'ddp'"
                    )
                if parameter not in self.state:
                    tensors = {name: torch.zeros_like(parameter) for name in moments}
                    self.state[parameter] = {**tensors, "history": tuple(History())}

    def _alike(self, group: dict[str, Any]) -> dict[tuple[Any, ...], list[_Member]]:
        """Parameters that this update changes, by what came before; notes which of them the task touches."""
        bit = 1 << list(self.shares).index(str(self._task))
        alike: dict[tuple[Any, ...], list[_Member]] = defaultdict(list)
        for parameter in group["params"]:
            state, gradient = self.state[parameter], parameter.grad
            touching, missing, *numbers = state["history"]
            if gradient is not None:
                touching |= bit
            else:
                missing |= bit
                state["history"] = (touching, missing, *numbers)
                if self.untouched == "skip":
                    continue
                gradient = torch.zeros_like(parameter)
            alike[(touching, missing, *numbers)].append((parameter, gradient, state))
        return alike

    def _update(self, group: dict[str, Any], history: History, members: list[_Member], length: float) -> None:
        """Update parameters of equal history; ``length`` is the factor that normalises the gradients."""
        factor = self._total_share(history) / self.shares[str(self._task)]
        parameters, gradients, states = (list(column) for column in zip(*members, strict=True))
        if group["orthogonal"]:
            step_orthogonal(
                parameters,
                gradients,
                [state["momentum"] for state in states],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                scale=factor * length,
            )
            after = history._replace(updates=history.updates + 1)
        else:
            b1, b2 = group["fractions"]
            after, numbers = advance(history, b1 * factor * length, b2 * factor * length**2, (b1, b2))
            step_adamw(
                _local(parameters),
                _local(gradients),
                _local([state["exp_avg"] for state in states]),
                _local([state["exp_avg_sq"] for state in states]),
                None,
                lr=group["lr"] * numbers.rate,
                weight_decay=group["weight_decay"] / numbers.rate,
                betas=numbers.betas,
                eps=group["eps"] * numbers.eps,
            )
        plain = tuple(after)
        for state in states:
            state["history"] = plain

    def _total_share(self, history: History) -> float:
        """``S_T`` of parameters of this history."""
        absent = history.missing & ~history.touching
        if self.untouched == "decay" or not absent:
            return 1.0
        return math.fsum(s for i, s in enumerate(self.shares.values()) if not absent >> i & 1)


def build_task_balanced_optimizer(
    model: nn.Module,
    rules: Sequence[ParameterRule],
    *,
    lr: float,
    shares: Mapping[str, float],
    weights: Mapping[str, float] | None = None,
    orthogonal: bool = False,
) -> TaskBalancedAdamW:
    """Return an optimizer of many tasks over the trainable parameters, one group a distinct rule.

    Args:
        model: Model to train; parameters with ``requires_grad=False`` are left out.
        rules: Learning-rate factor and weight decay of each parameter.
        lr: Learning rate of factor 1.
        shares: Share of the updates that train each task; their sum is 1.
        weights: Length of each task's gradients, 1 where missing; see :class:`TaskBalancedAdamW`.
        orthogonal: Take Muon's steps for :func:`intern25.training.optimizer.hidden_matrices`; not with
            ``parallel="fsdp"``.

    Raises:
        ValueError: Every parameter is frozen, or the shares or weights are bad.
    """
    matrices = hidden_matrices(model) if orthogonal else set()
    groups = parameter_groups(model, rules, lr=lr, orthogonal=matrices)
    return TaskBalancedAdamW(groups, lr=lr, shares=shares, weights=weights)


def _check_tasks(shares: Mapping[str, float], weights: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0.0 < share <= 1.0 + _SUM_TOLERANCE:
            raise ValueError(f"the share of task {name!r} is {share}; it must lie in (0, 1]")
    if abs(math.fsum(shares.values()) - 1.0) > _SUM_TOLERANCE:
        raise ValueError(f"the shares {dict(shares)} must have the sum 1; normalised_shares() sees to it")
    for name, weight in weights.items():
        if name not in shares:
            raise ValueError(f"weights has {name!r}, which has no share; the tasks are {', '.join(shares)}")
        if not 0.0 < weight < math.inf:
            raise ValueError(f"the weight of task {name!r} is {weight}; it must be a number above 0")


def _norm(gradients: list[Tensor]) -> float:
    """Norm over all gradients and all shards."""
    if not gradients:
        return 0.0
    if isinstance(gradients[0], DTensor):
        return float(cast(DTensor, get_total_norm(gradients)).full_tensor())
    # One call costs more than the sum over a small tensor, so those go together.
    parts = [gradient for gradient in gradients if gradient.numel() >= _SMALL]
    small = [gradient.reshape(-1) for gradient in gradients if gradient.numel() < _SMALL]
    if small:
        parts.append(torch.cat(small))
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(parts))))


def _local(tensors: list[Tensor]) -> list[Tensor]:
    """This process's part of sharded tensors, sharing memory with them; AdamW needs no more."""
    if not isinstance(tensors[0], DTensor):
        return tensors
    return [cast(DTensor, tensor).to_local() for tensor in tensors]
