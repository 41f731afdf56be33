# SPDX-License-Identifier: MIT
"""Comparing inputs with targets: one projection for both, cosine over a temperature of the task's family."""

# N inputs of this process, M targets, P processes, d width, V tokens of the vocabulary

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

INITIAL_SCALE = 1 / 0.07
"""One over the temperature at initialisation."""
INITIAL_BIAS = -10.0
"""Added to scaled cosines where each pair is a yes or no, so that nearly all start as a no.

Untrained embeddings share a direction: at right angles, which they are not, 0.01 would be enough."""
LARGEST_SCALE = 100.0
"""One over the temperature at most."""
INITIAL_VOCABULARY_SCALE = 3.0
"""Scale of the vocabulary's logits at initialisation, for token vectors of deviation 0.02."""
LABEL_SMOOTHING = 0.1
"""Share of the target probability that contrastive learning spreads over all pairs."""


class Readout(nn.Module):
    r"""Turn outputs of the decoder into embeddings and embeddings into logits.

    .. math:: P(x, y) \propto \exp(s_f \cos(x, y)), \qquad s_f = \min(e^{t_f}, 100)

    Convention:
        - :meth:`embed` comes first, for inputs and targets alike; what it gives can be kept, searched and
          compared with pixels. All other methods but :meth:`vocabulary_logits` take embeddings.
        - embeddings and cosines are float32 also under autocast: the scale would multiply the rounding.

    Args:
        width: Width of the decoder's outputs and of the embeddings.
        families: Names of the task families; each has a temperature and a bias of its own.

    Raises:
        ValueError: A family has no name, a dot in it, or is there twice.

    Example:
        >>> readout = Readout(192, ("classification", "region"))
        >>> pictures, names = readout.embed(torch.randn(2, 192)), readout.embed(torch.randn(5, 192))
        >>> readout.logits(pictures, names, "classification").shape
        torch.Size([2, 5])

    Source:
        Uni-Perceiver, arXiv:2112.01522, section 3.1; the bias is SigLIP's, arXiv:2303.15343, section 3.2.
    """

    def __init__(self, width: int, families: tuple[str, ...]) -> None:
        super().__init__()
        if not all(family and "." not in family for family in families) or len(set(families)) < len(families):
            raise ValueError(f"families={families!r} must be different names without dots")
        self.families = families
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, width)
        self.logit_scale = _one_each(families, math.log(INITIAL_SCALE))
        self.bias = _one_each(families, INITIAL_BIAS)
        self.vocabulary_scale = nn.Parameter(torch.full((1,), math.log(INITIAL_VOCABULARY_SCALE)))
        # Keeps the length of what the norm gives, hence nearly all angles.
        nn.init.trunc_normal_(self.projection.weight, std=width**-0.5)
        nn.init.zeros_(self.projection.bias)

    def forward(self, states: Tensor) -> Tensor:
        """Same as :meth:`embed`."""
        return self.embed(states)

    def embed(self, states: Tensor) -> Tensor:
        """Turn outputs of the decoder ``(..., d)`` into embeddings ``(..., d)`` of length 1."""
        return F.normalize(_at_least_float32(self.projection(self.norm(states))), dim=-1)

    def scale(self, family: str) -> Tensor:
        """One over the temperature of a family, ``(1,)``."""
        return self._of(self.logit_scale, family).exp().clamp(max=LARGEST_SCALE)

    def logits(self, x: Tensor, y: Tensor, family: str) -> Tensor:
        """Logits of a softmax over targets.

        Args:
            x: Embeddings of inputs, ``(..., N, d)``.
            y: Embeddings of targets, ``(M, d)`` for all inputs or ``(..., M, d)`` for each group of them.
            family: Task family.

        Returns:
            ``(..., N, M)``, at least float32.

        Raises:
            ValueError: There is no such family.
        """
        scale = self.scale(family)
        with torch.autocast(x.device.type, enabled=False):
            return scale * (_at_least_float32(x) @ _at_least_float32(y).mT)

    def sigmoid_logits(self, x: Tensor, y: Tensor, family: str) -> Tensor:
        """Logits of one yes or no for each pair, as :meth:`logits`, with a bias as SigLIP's."""
        return self.logits(x, y, family) + self._of(self.bias, family)

    def contrastive_loss(self, x: Tensor, y: Tensor, family: str, same: Tensor | None = None) -> Tensor:
        r"""Symmetric InfoNCE with label smoothing, against the pairs of all processes.

        .. math:: L = \tfrac12 \big(\mathrm{CE}(s X Y^\top, T) + \mathrm{CE}(s Y X^\top, T^\top)\big)

        where a row of ``T`` is spread evenly over all that match.

        Convention: the mean over this process's pairs; averaging its gradients over processes, as
        data-parallel training does, gives the gradient of the whole batch.

        Args:
            x: Embeddings of inputs ``(N, d)``; every process has as many.
            y: Embeddings of targets ``(N, d)``; row i belongs to row i of ``x``.
            family: Task family.
            same: ``(N, N)`` bool, True where ``x`` of the row and ``y`` of the column also match, such as
                several captions of one picture; None where only the pairs do.

        Returns:
            The loss, a scalar.
        """
        matches = torch.eye(len(x), dtype=torch.bool, device=x.device)
        if same is not None:
            matches = matches | same
        all_x, all_y, first = _gathered(x, y)
        forward, backward = self.logits(x, all_y, family), self.logits(y, all_x, family)
        return (_matching_loss(forward, matches, first) + _matching_loss(backward, matches.T, first)) / 2

    def vocabulary_logits(
        self, states: Tensor, embedding: Tensor, projection: nn.Module | None = None
    ) -> Tensor:
        """Logits of the next token, tied to the embedding of the tokens.

        A plain inner product with a learned scale: the lengths of the token vectors can say how frequent
        the tokens are, which a cosine would have to do without. Starting the scale at 1 learns slower.

        Args:
            states: Outputs of the decoder, ``(..., d)``.
            embedding: Table of token vectors, ``(V, text_width)``.
            projection: From ``d`` to ``text_width``; None where they are equal.

        Returns:
            ``(..., V)``.
        """
        projected = self.projection(self.norm(states)) * self.vocabulary_scale.exp()
        return F.linear(projected if projection is None else projection(projected), embedding)

    def _of(self, parameters: nn.ParameterDict, family: str) -> Tensor:
        if family not in parameters:
            raise ValueError(f"there is no task family {family!r}; there are {', '.join(self.families)}")
        return cast(Tensor, parameters[family])


def _one_each(families: tuple[str, ...], value: float) -> nn.ParameterDict:
    return nn.ParameterDict({family: nn.Parameter(torch.full((1,), value)) for family in families})


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _matching_loss(logits: Tensor, matches: Tensor, first: int) -> Tensor:
    """Cross-entropy of ``(N, M)`` logits whose columns ``first``... are matched by ``(N, N)``."""
    targets = torch.zeros_like(logits)
    shares = matches.to(logits.dtype)
    targets[:, first : first + matches.shape[1]] = shares / shares.sum(dim=1, keepdim=True)
    return F.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)


def _gathered(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, int]:
    """``(P N, d)`` inputs and targets of all processes, and the place of this process's first."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x, y, 0
    # Together, so that forward and backward pass wait for the other processes once.
    both = cast(Tensor, _Gather.apply(torch.stack((x, y))))
    return both[:, 0].flatten(0, 1), both[:, 1].flatten(0, 1), dist.get_rank() * len(x)


class _Gather(torch.autograd.Function):
    """Stack the tensors of all processes; the gradient is the sum of what all processes send back."""

    # torch.distributed.nn.functional.all_gather does this too, but is deprecated in torch 2.14.

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Any) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return cast(Tensor, total[dist.get_rank()])
