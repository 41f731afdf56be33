# SPDX-License-Identifier: MIT
"""Attribute-routed conditional mixture of experts: experts are merged into one layer before they are applied.

All tokens of a group share one attribute vector, hence one choice of experts, so a layer with any number of
experts costs the multiplication of a single one: no token is dispatched and none is dropped.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.generalist.attributes import NUM_ATTRIBUTES, Attributes

INITIAL_DEVIATION = 0.02
"""Standard deviation of the weights of every linear layer at initialisation."""


class Gates(NamedTuple):
    """The experts that one attribute vector uses."""

    experts: Tensor
    """``(k,)`` int64, the most probable first."""
    shares: Tensor
    """``(k,)``, which add up to 1."""


class MergedLinear(NamedTuple):
    """One linear layer, ready to be applied."""

    weight: Tensor
    """``(out_features, in_features)``."""
    bias: Tensor
    """``(out_features,)``."""

    def __call__(self, x: Tensor) -> Tensor:
        """``(..., in_features)`` to ``(..., out_features)``."""
        return F.linear(x, self.weight, self.bias)


class Router(nn.Module):
    r"""Choose experts by attributes.

    .. math:: g = \mathrm{top}_k\,\mathrm{softmax}(W_g\,\mathrm{LN}(W_a a + b_a) + \epsilon),
        \qquad \epsilon \sim N(0, 1/E)\ \text{in training}

    Convention:
        - the k shares are renormalised to add up to 1; with k = 1 the only share is 1 and no gradient
          reaches the router.
        - ``1/E`` is the standard deviation of the noise, as in V-MoE.
        - computed outside of autocast: rounding would make the choice of experts depend on it.
        - at initialisation the logits of a vector have unit variance, so that vectors differ in their
          choice and noise turns over only what is nearly a tie.

    Args:
        width: Width of the embedded attributes.
        experts: Number of experts ``E``.
        active: Experts ``k`` that are used at a time.

    Raises:
        ValueError: ``active`` is below 1 or above ``experts``.

    Source:
        Uni-Perceiver-MoE, arXiv:2206.04674, section 3; the noise is V-MoE's, arXiv:2106.05974, section 2.
    """

    def __init__(self, width: int, experts: int, active: int) -> None:
        super().__init__()
        if not 1 <= active <= experts:
            raise ValueError(f"active={active} must lie between 1 and experts={experts}")
        self.active = active
        self.embedding = nn.Linear(NUM_ATTRIBUTES, width)
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, experts, bias=False)
        nn.init.normal_(self.embedding.weight)
        nn.init.zeros_(self.embedding.bias)
        nn.init.normal_(self.gate.weight, std=width**-0.5)

    def forward(self, attributes: Attributes) -> Gates:
        """Choose the experts of one attribute vector; with noise in training."""
        vector = torch.tensor(
            attributes.vector(), dtype=self.gate.weight.dtype, device=self.gate.weight.device
        )
        with torch.autocast(vector.device.type, enabled=False):
            logits = self.gate(self.norm(self.embedding(vector)))
            if self.training:
                logits = logits + torch.randn_like(logits) / logits.numel()
            # The softmax of the k largest logits is the renormalised top k of the softmax of all.
            chosen, experts = logits.topk(self.active)
            return Gates(experts, chosen.softmax(dim=0))


class ExpertLinear(nn.Module):
    r"""A linear layer with experts, merged before they are applied.

    .. math:: y = \Big(\sum_k g_k W_k\Big) x + \sum_k g_k b_k

    Only the weights of the experts in use are read; their number does not change the cost per token.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        experts: Number of experts ``E``.

    Example:
        >>> layer, router = ExpertLinear(192, 768, experts=4), Router(192, experts=4, active=2)
        >>> gates = router(Attributes(input_image=True, image_token=True))
        >>> layer(torch.zeros(2, 10, 192), gates).shape
        torch.Size([2, 10, 768])
    """

    def __init__(self, in_features: int, out_features: int, experts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(experts, out_features))
        nn.init.trunc_normal_(self.weight, std=INITIAL_DEVIATION)

    def merged(self, gates: Gates | None) -> MergedLinear:
        """Merge the experts in use into one linear layer."""
        assert gates is not None, "a layer with experts needs a router"
        weight = gates.shares @ self.weight.index_select(0, gates.experts).flatten(1)
        bias = gates.shares @ self.bias.index_select(0, gates.experts)
        return MergedLinear(weight.view(self.weight.shape[1:]), bias)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        """``(..., in_features)`` to ``(..., out_features)``."""
        return self.merged(gates)(x)


class DenseLinear(nn.Linear):
    """A linear layer without experts that answers like one with experts."""

    def reset_parameters(self) -> None:
        """Truncated normal weights, zero biases."""
        nn.init.trunc_normal_(self.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(self.bias)

    def merged(self, gates: Gates | None) -> MergedLinear:
        """Return the layer itself, whatever the gates."""
        return MergedLinear(self.weight, cast(Tensor, self.bias))
