# SPDX-License-Identifier: MIT
"""The attention layer of Deformable DETR: the operator between its projections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from intern25.ops.backends import BackendName
from intern25.ops.deform_attn.functional import deform_attn
from intern25.ops.deform_attn.reference import accumulation_dtype


class MultiScaleDeformableAttention(nn.Module):
    r"""Attention of every query to a few points around its reference, on every level of a feature pyramid.

    $$ y(q) = W_o\,\mathrm{deform\_attn}\big(W_v v,\; r_q + W_\Delta q / \mathrm{size}_l,\;
    \mathrm{softmax}(W_a q)\big) $$

    Convention:
        - layout: batch first; tokens of all levels one behind the other, sizes ``(height, width)``.
        - no residual and no dropout: the layer around it adds them.

    Args:
        channels: Channels ``C`` of queries and values.
        heads: Attention heads; must divide ``channels``.
        levels: Levels of the pyramid.
        points: Sampling points of a head on each level.
        backend: Implementation of the operator.

    Example:
        >>> layer = MultiScaleDeformableAttention(64, heads=4, levels=2)
        >>> query, value = torch.randn(1, 5, 64), torch.randn(1, 4 * 6 + 2 * 3, 64)
        >>> layer(query, torch.rand(1, 5, 2, 2), value, ((4, 6), (2, 3))).shape
        torch.Size([1, 5, 64])

    Source:
        Deformable DETR, arXiv:2010.04159, section 4.1; boxes as references: section A.3 of the same.
    """

    backend: BackendName
    """Implementation of the operator; may be changed at any time, as to ``"reference"`` for an export."""

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        levels: int = 4,
        points: int = 4,
        *,
        backend: BackendName = "auto",
    ) -> None:
        super().__init__()
        if channels % heads != 0:
            divisors = ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
            raise ValueError(f"heads={heads} does not divide channels={channels}; use one of {divisors}")
        self.heads, self.levels, self.points = heads, levels, points
        self.backend = backend
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with equal weights and fixed points: a direction a head, a pixel further each point."""
        for linear in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        if self.sampling_offsets.bias.is_meta:
            return  # arithmetic on that device, of no use here, would import torch's compiler
        angles = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
        directions = directions / directions.abs().amax(-1, keepdim=True)  # to the border of a square
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        offsets = directions[:, None, None] * steps[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())

    def forward(
        self,
        query: Tensor,
        reference_points: Tensor,
        value: Tensor,
        spatial_shapes: Sequence[tuple[int, int]],
        *,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            query: ``(N, Q, C)``, its position added.
            reference_points: ``(N, Q, levels, 2)`` points ``(x, y)`` or ``(N, Q, levels, 4)`` boxes
                ``(x, y, w, h)`` about their centres, as shares of the map; offsets count in pixels of the
                level about a point, in ``1 / points`` of half the sides about a box.
            value: ``(N, S, C)``.
            spatial_shapes: ``(height, width)`` of every level.
            padding_mask: ``(N, S)``, True where a token is padding and its value counts as zero.

        Returns:
            ``(N, Q, C)``, without the residual.
        """
        projected = self.value_proj(value)
        if padding_mask is not None:
            projected = projected.masked_fill(padding_mask.unsqueeze(-1), 0)
        locations = self._locations(query, reference_points, spatial_shapes)
        weights = self.attention_weights(query).unflatten(-1, (self.heads, -1)).softmax(-1)
        attended = deform_attn(
            projected.unflatten(-1, (self.heads, -1)),
            spatial_shapes,
            locations,
            weights.unflatten(-1, (self.levels, self.points)).to(locations.dtype),
            backend=self.backend,
        )
        output: Tensor = self.output_proj(attended)
        return output

    def _locations(
        self, query: Tensor, reference_points: Tensor, spatial_shapes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Sampling locations ``(N, Q, heads, levels, points, 2)``; half types are too coarse for them."""
        dtype = accumulation_dtype(query.dtype)
        offsets: Tensor = self.sampling_offsets(query).to(dtype)
        offsets = offsets.unflatten(-1, (self.heads, self.levels, self.points, 2))
        reference = reference_points.to(dtype)[:, :, None, :, None]
        if reference.shape[-1] == 2:
            sizes = [(width, height) for height, width in spatial_shapes]
            return reference + offsets / torch.tensor(sizes, dtype=dtype, device=query.device)[:, None]
        if reference.shape[-1] == 4:
            return reference[..., :2] + offsets / self.points * reference[..., 2:] * 0.5
        raise ValueError(
            f"reference_points has shape {tuple(reference_points.shape)}; expected (N, Q, {self.levels}, 2) "
            f"points or (N, Q, {self.levels}, 4) boxes"
        )
