# SPDX-License-Identifier: MIT
r"""M3I pre-training: one mixed input, and all that two pictures can be asked for at once.

Two pictures are mixed block by block. The model must tell, from the blocks of each, what the first one looks
like where it is covered, what the second one looks like in another view, and which name or text belongs to
each: self-supervised within and between views, supervised, and weakly supervised, in one update.
"""

# P pairs of pictures, L cells of the map, d width of the decoder, C channels of the target

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.data.placed_views import placed_in
from intern25.generalist.features import ImageFeatures
from intern25.generalist.model import Generalist
from intern25.generalist.places import PlaceEncoding, cell_boxes
from intern25.generalist.routing import MATCHING
from intern25.generalist.tokenizer import TokenBatch
from intern25.layers.attention import ResidualAttention, ResidualFeedForward

BLOCK = 32
"""Side of a block of the mixture in pixels: a cell of the last stage."""
HEAD_CHANNELS = 32
MOST_CELLS = 2048
"""Most cells of an update that are compared with one another."""
LABEL_SMOOTHING = 0.1
Dense = Literal["infonce", "l2"]


@dataclass(frozen=True, kw_only=True, slots=True)
class M3IConfig:
    """What is predicted and how."""

    dense: Dense = "infonce"
    """Loss of predicted features: against all cells of the batch, or the squared distance."""
    temperature: float = 0.2
    """Of the dense InfoNCE."""
    momentum: float = 0.99
    """Share of the old weights that the target encoder keeps at an update."""
    layers: int = 2
    """Layers of the predictor."""
    dense_weight: float = 1.0
    """Weight of the two losses of features; 0 leaves the names and texts alone."""
    meaning_weight: float = 1.0
    """Weight of the loss of names or texts; 0 leaves the pictures alone."""

    def __post_init__(self) -> None:
        if self.dense not in ("infonce", "l2"):
            raise ValueError(f"dense={self.dense!r} must be 'infonce' or 'l2'")
        if not self.temperature > 0 or not 0.0 <= self.momentum <= 1.0 or self.layers < 1:
            raise ValueError(f"{self}: temperature above 0, momentum from 0 to 1, layers 1 or more")
        if min(self.dense_weight, self.meaning_weight) < 0 or not self.dense_weight + self.meaning_weight:
            raise ValueError(f"{self}: the weights must be 0 or more, and not both 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedInputs:
    """Pairs of pictures; of ``2 P`` rows the first ``P`` are the first pictures, the others the second."""

    pictures: Tensor
    """``(2 P, 3, H, W)`` normalised input views."""
    others: Tensor
    """``(P, 3, H, W)`` normalised other views of the second pictures."""
    chosen: Tensor
    """``(P, H/32, W/32)`` bool, the blocks of the input that show the first picture."""
    places: Tensor
    """``(2 P, 5)`` places of the input views."""
    other_places: Tensor
    """``(P, 5)`` places of the other views."""
    texts: TokenBatch
    """Names of all classes, or ``2 P`` texts, one a picture."""
    targets: Tensor | None
    """``(2 P,)`` classes; None where there are texts."""
    same: Tensor | None
    """``(2 P, 2 P)`` bool, which text also fits which picture; None where only the pairs do."""


def mixed(first: Tensor, second: Tensor, chosen: Tensor) -> Tensor:
    """Show ``first`` in the chosen blocks and ``second`` in the others.

    Args:
        first: ``(P, 3, H, W)``.
        second: ``(P, 3, H, W)``.
        chosen: ``(P, H/32, W/32)`` bool.

    Raises:
        ValueError: The blocks do not cover the pictures.

    Source:
        MixMIM, arXiv:2205.13137, section 3.2; M3I, arXiv:2211.09807, figure 2.
    """
    size = (BLOCK * chosen.shape[1], BLOCK * chosen.shape[2])
    if tuple(first.shape[-2:]) != size or first.shape != second.shape:
        raise ValueError(
            f"pictures {tuple(first.shape)} and {tuple(second.shape)} must be of one size, that of "
            f"{tuple(chosen.shape[1:])} blocks of {BLOCK} pixels, {size}"
        )
    mask = chosen.repeat_interleave(BLOCK, dim=1).repeat_interleave(BLOCK, dim=2)
    return torch.where(mask[:, None], first, second)


def cells_of_blocks(chosen: Tensor, size: tuple[int, int]) -> Tensor:
    """``(P, h, w)`` blocks to ``(P, L)`` cells of a map of ``size``, a multiple of the blocks' number."""
    rows, columns = size[0] // chosen.shape[1], size[1] // chosen.shape[2]
    return chosen.repeat_interleave(rows, dim=1).repeat_interleave(columns, dim=2).flatten(1)


class TargetEncoder(nn.Module):
    r"""A backbone that follows another, :math:`\phi \leftarrow m \phi + (1 - m) \theta`, without gradients.

    Args:
        backbone: What it starts from.
        stage: Stage whose map is the target.
        momentum: ``m``.
    """

    def __init__(self, backbone: nn.Module, stage: int, momentum: float) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False).eval()
        self.stage = stage
        self.momentum = momentum

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: targets have no stochastic depth."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, backbone: nn.Module) -> None:
        """Take a step towards ``backbone``."""
        own: list[Tensor] = list(self.backbone.parameters())
        theirs: list[Tensor] = list(backbone.parameters())
        torch._foreach_lerp_(own, theirs, 1.0 - self.momentum)
        for buffer, other in zip(self.backbone.buffers(), backbone.buffers(), strict=True):
            buffer.copy_(other)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """``(N, 3, H, W)`` pictures to ``(N, L, C)`` normalised cells."""
        cells = self.backbone(pictures)[self.stage].flatten(2).transpose(1, 2)
        return F.layer_norm(cells.float(), cells.shape[-1:])


class CellPredictor(nn.Module):
    """Mask tokens at places look at the cells of one picture in the mixture and say what is there.

    Args:
        width: Channels of the cells; a multiple of 32.
        out_channels: Channels of the prediction.
        layers: Layers of attention and feed-forward part.
    """

    def __init__(self, width: int, out_channels: int, layers: int) -> None:
        super().__init__()
        self.heads = width // HEAD_CHANNELS
        self.mask_token = nn.Parameter(torch.empty(width))
        self.place = PlaceEncoding(width)
        self.attention = nn.ModuleList(ResidualAttention(width, self.heads) for _ in range(layers))
        self.feedforward = nn.ModuleList(ResidualFeedForward(width, 2 * width) for _ in range(layers))
        self.output = nn.Linear(width, out_channels)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, cells: Tensor, seen: Tensor, queried: Tensor, size: tuple[int, int]) -> Tensor:
        """Predict features.

        Args:
            cells: ``(P, L, d)`` of the mixed input.
            seen: ``(P, L)`` bool, the cells of the picture in question.
            queried: ``(P, Q, 4)`` boxes in shares of the input view, from its top left corner.
            size: (height, width) of the map of cells.

        Returns:
            ``(P, Q, out_channels)``.
        """
        keys = self.place(cell_boxes(size, cells), size)
        places = self.place(queried, size)
        blocked = ~seen[:, None, None].expand(-1, self.heads, places.shape[1], -1).flatten(0, 1)
        x = self.mask_token.expand_as(places)
        for attention, feedforward in zip(self.attention, self.feedforward, strict=True):
            x = feedforward(attention(x, places, cells, keys, blocked=blocked))
        return cast(Tensor, self.output(x))


class M3IObjective(nn.Module):
    r"""The parts of the loss of a batch of pairs.

    .. math:: L = D(p_1, \phi(v_1)) + D(p_2, \phi(v_2')) + \tfrac12 \sum_k -\log P(y_k | x_k) + R

    with predictions ``p`` of the covered cells of the first picture and of all cells of the second in another
    view, target features of an averaged encoder, names or paired texts ``y``, and ``R`` what keeps features
    from becoming all alike: with ``"l2"`` the hinge of their deviation; InfoNCE has it in its denominator.

    Convention: costs one pass of ``P`` pictures forwards and backwards and one of ``2 P`` forwards. In
    training each call moves the target encoder first.

    Args:
        model: The generalist that is to be trained.
        config: What is predicted and how.

    Source:
        M3I, arXiv:2211.09807, figure 2; the deviation is VICReg's, arXiv:2105.04906, section 4.1.
    """

    def __init__(self, model: Generalist, config: M3IConfig) -> None:
        super().__init__()
        self.config = config
        stage = model.config.global_stage
        self.predictor = CellPredictor(
            model.config.width, model.config.backbone.stage_channels[stage], config.layers
        ).to(model.special.device)
        self.target = TargetEncoder(model.backbone, stage, config.momentum)

    def forward(self, model: Generalist, inputs: MixedInputs) -> dict[str, Tensor]:
        """Losses by name; their sum is to be minimised."""
        if self.training:
            self.target.follow(model.backbone)
        first, second = inputs.pictures.chunk(2)
        features = model.encode_image(mixed(first, second, inputs.chosen))
        stride = 2 ** (2 + model.config.global_stage)
        size = (first.shape[-2] // stride, first.shape[-1] // stride)
        seen = cells_of_blocks(inputs.chosen, size)
        losses: dict[str, Tensor] = {}
        if self.config.dense_weight:
            cells = features.tokens[:, model.config.pooled_tokens :]
            losses |= self._dense(inputs, cells, seen, size)
        if self.config.meaning_weight:
            x = represented(model, features.tokens, seen)
            y = model.embed_texts(inputs.texts, MATCHING)
            losses |= self._meaning(model, inputs, x, y)
        return losses

    def _dense(
        self, inputs: MixedInputs, cells: Tensor, seen: Tensor, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        first = inputs.pictures[: len(inputs.others)]
        targets = self.target(torch.cat((first, inputs.others))).chunk(2)
        here = cell_boxes(size, inputs.places)
        there = placed_in(here, inputs.other_places, inputs.places.chunk(2)[1])
        same_view = self.predictor(cells, seen, here.expand(len(first), -1, -1), size)
        other_view = self.predictor(cells, ~seen, there, size)
        weight = self.config.dense_weight
        losses = {
            "same_view": weight * self._distance(same_view[~seen], targets[0][~seen]),
            "other_view": weight * self._distance(other_view.flatten(0, 1), targets[1].flatten(0, 1)),
        }
        if self.config.dense == "l2":
            losses["deviation"] = weight * deviation_loss(cells.flatten(0, 1))
        return losses

    def _distance(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Loss of ``(R, C)`` predicted cells."""
        predicted = predicted.float()
        if self.config.dense == "l2":
            return F.mse_loss(predicted, target)
        if len(predicted) > MOST_CELLS:
            chosen = torch.randperm(len(predicted), device=predicted.device)[:MOST_CELLS]
            predicted, target = predicted[chosen], target[chosen]
        cosines = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).T
        right = torch.arange(len(cosines), device=cosines.device)
        return F.cross_entropy(cosines / self.config.temperature, right)

    def _meaning(self, model: Generalist, inputs: MixedInputs, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        weight = self.config.meaning_weight
        if inputs.targets is None:
            loss = model.readout.contrastive_loss(x, y, "retrieval", inputs.same)
            return {"text": weight * loss}
        logits = model.readout.logits(x, y, "classification").float()
        loss = F.cross_entropy(logits, inputs.targets, label_smoothing=LABEL_SMOOTHING)
        return {"category": weight * loss}


def deviation_loss(x: Tensor) -> Tensor:
    r"""How little features vary, :math:`\frac1d \sum_j \max(0, 1 - \sqrt{\mathrm{var}(x_j) + \epsilon})`.

    Args:
        x: ``(R, d)``; each row is normalised first.
    """
    rows = F.layer_norm(x.float(), x.shape[-1:])
    return F.relu(1.0 - (rows.var(dim=0) + 1e-4).sqrt()).mean()


def represented(model: Generalist, tokens: Tensor, seen: Tensor) -> Tensor:
    """``(2 P, d)`` of the first and the second pictures of a mixture: each by the cells that show it.

    Args:
        model: The generalist.
        tokens: ``(P, M + L, d)`` global tokens of the mixture; the pooled ones belong to both.
        seen: ``(P, L)`` bool, the cells of the first pictures.
    """
    pooled = seen.new_ones(len(seen), tokens.shape[1] - seen.shape[1])
    each = torch.cat((torch.cat((pooled, seen), dim=1), torch.cat((pooled, ~seen), dim=1)))
    return model.embed_images(ImageFeatures(tokens=torch.cat((tokens, tokens))), MATCHING, seen=each)
