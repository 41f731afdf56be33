# SPDX-License-Identifier: MIT
"""Muon: momentum orthogonalised by Newton-Schulz iterations for matrices, AdamW for everything else.

timm and torch have it too, but orthogonalise in bfloat16 only, which takes longer than the gradients
themselves on a CPU without bfloat16 arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic, chosen for the steepest slope at zero."""
_ADAMW_STATE = ("exp_avg", "exp_avg_sq", "step")


class Muon(Optimizer):
    r"""Step along the nearest semi-orthogonal matrix of the momentum.

    $$ M \leftarrow \mu M + G, \qquad
    W \leftarrow (1 - \eta\lambda) W - 0.2\,\eta\sqrt{\max(m, n)}\;\mathrm{orth}(G + \mu M) $$

    The factor makes the update's root mean square that of AdamW, so both kinds share one learning rate.
    A kernel counts as the matrix ``(C_out, C_in * k_h * k_w)``, a stack ``(E, m, n)`` as ``E`` matrices.

    Args:
        groups: Parameter groups with ``params``, ``lr``, ``weight_decay`` and ``orthogonal``; those with
            ``orthogonal=False`` take AdamW steps.
        lr: Learning rate of groups without their own.
        momentum: ``mu``.
        betas: AdamW's.

    Source:
        Jordan et al., "Muon", 2024; the factor is Liu et al., arXiv:2502.16982, equation 4.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} must be in [0, 1)")
        defaults = {"weight_decay": 0.0, "orthogonal": False, "momentum": momentum, "betas": betas}
        super().__init__(groups, {"lr": lr, **defaults})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do one update; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            update = self._step_orthogonal if group["orthogonal"] else self._step_adamw
            if parameters:
                update(group, parameters)
        return loss

    def _step_orthogonal(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {"momentum": torch.zeros_like(parameter)}
        step_orthogonal(
            parameters,
            [cast(Tensor, p.grad) for p in parameters],
            [self.state[p]["momentum"] for p in parameters],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
        )

    def _step_adamw(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                }
        averages, squares, steps = ([self.state[p][name] for p in parameters] for name in _ADAMW_STATE)
        step_adamw(
            parameters,
            [cast(Tensor, p.grad) for p in parameters],
            averages,
            squares,
            steps,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            betas=group["betas"],
            eps=1e-8,
        )


def step_orthogonal(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    momenta: Sequence[Tensor],
    *,
    lr: float,
    weight_decay: float,
    momentum: float,
    scale: float = 1.0,
) -> None:
    r"""Do one Muon step on each matrix or kernel; the formula is that of :class:`Muon`.

    Args:
        parameters: Matrices, kernels ``(C_out, C_in, ...)`` of four or more dimensions, or stacks of matrices
            ``(E, m, n)``; changed in place.
        gradients: Their gradients.
        momenta: Their ``M``, changed in place.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        momentum: ``mu``.
        scale: Positive factor of the gradients.
    """
    alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for parameter, gradient, average in zip(parameters, gradients, momenta, strict=True):
        for weight, slope, mean in _matrices(parameter, gradient, average):
            mean.mul_(momentum).add_(slope, alpha=scale)
            # The length of the direction is lost below, so the scale may as well divide the momentum.
            direction = slope.add(mean, alpha=momentum / scale).flatten(1)
            alike[cast(tuple[int, int], tuple(direction.shape))].append((weight, direction))
    for shape, members in alike.items():
        updates = orthogonalise(torch.stack([direction for _, direction in members]))
        for (weight, _), update in zip(members, updates, strict=True):
            weight.mul_(1 - lr * weight_decay)
            weight.add_(update.view_as(weight), alpha=-0.2 * lr * max(shape) ** 0.5)


def _matrices(parameter: Tensor, gradient: Tensor, average: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of each matrix or kernel of a parameter that an update changes, of its gradient and its momentum.

    Of a stack ``(E, m, n)`` those without gradient are left out: no momentum says where an expert that was
    not used is to go, and orthogonalised it would be a whole step.
    """
    if parameter.dim() != 3:
        yield parameter, gradient, average
        return
    used = gradient.flatten(1).any(dim=1).tolist()
    for index in (index for index, is_used in enumerate(used) if is_used):
        yield parameter[index], gradient[index], average[index]


def step_adamw(
    parameters: list[Tensor],
    gradients: list[Tensor],
    averages: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor] | None,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Do one AdamW step on each parameter by torch's fused kernel, one pass over memory.

    Args:
        parameters: Changed in place.
        gradients: Their gradients.
        averages: First moments, changed in place.
        squares: Second moments, changed in place.
        steps: Steps done before, for the bias correction; counted up in place. None: correct as in a first
            step, always; then all tensors must be of one type and device.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        betas: Shares of the moments that stay.
        eps: Added to the root of the second moment.
    """
    if steps is None:
        # Counting up a number for each parameter takes a tenth of the time of the update itself.
        first = torch.ones((), device=parameters[0].device)
        torch._fused_adamw_(
            parameters,
            gradients,
            averages,
            squares,
            [],
            [first] * len(parameters),
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=lr,
            weight_decay=weight_decay,
            eps=eps,
            maximize=False,
        )
        return
    adamw(
        parameters,
        gradients,
        averages,
        squares,
        [],
        steps,
        fused=True,
        amsgrad=False,
        beta1=betas[0],
        beta2=betas[1],
        lr=lr,
        weight_decay=weight_decay,
        eps=eps,
        maximize=False,
    )


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    r"""Replace the singular values of every matrix by values near 1.

    $$ X \leftarrow P X, \quad P = a I + b A + c A^2, \quad A = X X^\top, \quad X_0 = G / \lVert G \rVert_F $$

    Every ``P`` is a polynomial of the first ``A``, so all commute and the small square matrices are iterated
    alone: ``A`` becomes ``P A P``, and only the product of the ``P`` meets ``X_0``.

    Convention: computed in float32; the values reached lie in about 0.7..1.2.

    Args:
        matrices: ``(B, m, n)``.
        steps: Iterations.

    Returns:
        ``(B, m, n)``, of the type of ``matrices``; zero where a matrix is zero.

    Source:
        Jordan et al., "Muon", 2024.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x.float()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    gram = x @ x.mT
    product: Tensor | None = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        if step + 1 < steps:
            gram = factor @ gram @ factor
    x = x if product is None else product @ x
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result
