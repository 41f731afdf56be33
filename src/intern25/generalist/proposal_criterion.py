# SPDX-License-Identifier: MIT
"""Training objective of the proposals: one-to-one matching in every layer, denoising, dense proposals."""

# L predictions (the initial one and one a layer), N batch, Q queries, K objects of a picture (the most of the
# batch), M pairs of query and object, P points

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intern25.generalist.dense_assignment import SHARE_EPS, dense_losses
from intern25.generalist.proposal_targets import BatchTargets, ProposalTargets
from intern25.generalist.proposals import DenoisingPredictions, LayerPredictions, Proposals
from intern25.layers.boxes import cxcywh_to_xyxy, giou, iou, xyxy_to_cxcywh
from intern25.layers.losses import dice_loss, giou_loss, mean_count, smooth_l1_loss
from intern25.layers.matching import focal_cost, hungarian
from intern25.layers.point_sampling import sample_points, uncertain_points

FOCAL_GAMMA = 2.0
"""How much queries that are right to see nothing count less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalWeights:
    """Weights of the terms, in the matching and in the loss, and how masks are compared."""

    objectness: float = 2.0
    """Of the objectness."""
    box: float = 5.0
    """Of the L1 distance of the boxes."""
    giou: float = 2.0
    """Of the generalised IoU of the boxes."""
    mask: float = 5.0
    """Of the binary cross entropy of the masks."""
    dice: float = 5.0
    """Of the dice term of the masks."""
    dense: float = 1.0
    """Of both terms of the dense proposals, beside the weights above."""
    points: int = 512
    """Points of its box at which a mask is compared; 12,544 of the picture in Mask DINO."""
    oversample_ratio: float = 3.0
    """Candidates drawn for each point of the loss."""
    importance_ratio: float = 0.75
    """Share of the points that is taken where the prediction is least certain."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Queries and the objects they answer for, sorted by picture, then by prediction."""

    layers: Tensor
    """``(M,)`` int64 prediction."""
    pictures: Tensor
    """``(M,)`` int64."""
    queries: Tensor
    """``(M,)`` int64."""
    objects: Tensor
    """``(M,)`` int64, counted within the picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposalMatches:
    """Pairs of the last layer; a query that is not named matched nothing."""

    pictures: Tensor
    """``(M,)`` int64."""
    queries: Tensor
    """``(M,)`` int64."""
    objects: Tensor
    """``(M,)`` int64, counted within the picture."""
    overlaps: Tensor
    """``(M,)`` IoU of the query's box with its object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposalLosses:
    """What the proposals of a batch cost, and which of them are objects."""

    terms: dict[str, Tensor]
    """Weighted losses by name; their sum is to be minimised."""
    matches: ProposalMatches
    """Matched queries of the last layer."""


class ProposalCriterion(nn.Module):
    r"""Losses of all predictions.

    Objectness learns the IoU of the query's own box, so that it can serve as the score of a detection:

    .. math:: \sum_{matched} \mathrm{BCE}(p, \mathrm{IoU}) - \sum_{others} p^2 \log(1 - p)

    A mask counts inside the box of its object only, and ends with the box where it is used: to tell an object
    from what is around it is learned far sooner than to tell it from all others of its kind. So masks take
    no part in the matching.

    Args:
        weights: Weights of the terms; None = the default.

    Source:
        Mask DINO, arXiv:2206.02777; the objectness term: Align-DETR, arXiv:2304.07527, equation 4, with the
        IoU as target; masks inside boxes: YOLACT, arXiv:1904.02689, section 3.3.
    """

    def __init__(self, weights: ProposalWeights | None = None) -> None:
        super().__init__()
        self.weights = ProposalWeights() if weights is None else weights

    def forward(self, proposals: Proposals, targets: Sequence[ProposalTargets]) -> ProposalLosses:
        """Compute the losses.

        Args:
            proposals: Predictions of all layers.
            targets: Objects of every picture; those of a picture without masks learn no masks.

        Returns:
            ``loss_objectness``, ``loss_box``, ``loss_giou``, ``loss_mask`` and ``loss_dice``, summed over the
            predictions and divided by the number of pairs of one; the first three behind ``denoising.`` and
            ``loss_objectness`` and ``loss_giou`` behind ``dense.``.

        Raises:
            ValueError: There is not one target a picture, or the predictions are not finite.
        """
        if len(targets) != len(proposals.semantic):
            raise ValueError(f"got {len(targets)} targets for {len(proposals.semantic)} pictures")
        _check_finite(proposals)
        weights = self.weights
        with torch.autocast(proposals.semantic.device.type, enabled=False):
            predictions = LayerPredictions(
                objectness=_full(proposals.layers.objectness),
                boxes=_full(proposals.layers.boxes),
                mask_embeddings=_full(proposals.layers.mask_embeddings),
            )
            features = _full(proposals.mask_features)
            batch = BatchTargets.of(targets, predictions.boxes)
            pairs = self.match(predictions, batch)
            count = mean_count(len(pairs.queries) // len(predictions.boxes), features.device)
            terms, overlaps = self._set_losses(predictions.objectness, predictions.boxes, pairs, batch, count)
            terms.update(self._mask_losses(predictions.mask_embeddings, features, pairs, batch, count))
            if proposals.denoising is not None:
                terms.update(self._denoising_losses(proposals.denoising, batch))
            dense = dense_losses(proposals.dense, batch.boxes, batch.present)
            terms["dense.loss_objectness"] = weights.dense * weights.objectness * dense["loss_objectness"]
            terms["dense.loss_giou"] = weights.dense * weights.giou * dense["loss_giou"]
        last = pairs.layers == len(predictions.boxes) - 1
        matches = ProposalMatches(
            pictures=pairs.pictures[last],
            queries=pairs.queries[last],
            objects=pairs.objects[last],
            overlaps=overlaps[last],
        )
        return ProposalLosses(terms=terms, matches=matches)

    @torch.no_grad()
    def match(self, predictions: LayerPredictions, batch: BatchTargets) -> Pairs:
        """Match the queries of every prediction with the objects of their picture, one to one.

        Raises:
            ValueError: The costs are not finite.
        """
        # One transfer from the device for all layers and pictures.
        costs = self.costs(predictions, batch).cpu()
        rows = [
            (layer, picture, *hungarian(costs[layer, picture, :, :count]))
            for picture, count in enumerate(batch.counts)
            for layer in range(len(costs))
        ]
        layers = torch.cat([torch.full_like(queries, layer) for layer, _, queries, _ in rows])
        pictures = torch.cat([torch.full_like(queries, picture) for _, picture, queries, _ in rows])
        columns = (layers, pictures, torch.cat([row[2] for row in rows]), torch.cat([row[3] for row in rows]))
        device = predictions.boxes.device
        layers, pictures, queries, objects = (column.to(device) for column in columns)
        return Pairs(layers=layers, pictures=pictures, queries=queries, objects=objects)

    def costs(self, predictions: LayerPredictions, batch: BatchTargets) -> Tensor:
        """Cost of every pair, ``(L, N, Q, K)``, by objectness and boxes.

        Args:
            predictions: Of every layer.
            batch: Objects.
        """
        weights = self.weights
        corners = cxcywh_to_xyxy(predictions.boxes)[..., None, :]
        overlap = giou(corners, batch.boxes[:, None], eps=SHARE_EPS)
        distance = torch.cdist(predictions.boxes, xyxy_to_cxcywh(batch.boxes)[None], p=1)
        costs = weights.box * distance - weights.giou * overlap
        return costs + weights.objectness * focal_cost(predictions.objectness)[..., None]

    def _set_losses(
        self, objectness: Tensor, boxes: Tensor, pairs: Pairs, batch: BatchTargets, count: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of objectness and boxes ``(L, N, Q, 4)``, and the ``(M,)`` IoU of the pairs."""
        weights, chosen = self.weights, (pairs.layers, pairs.pictures, pairs.queries)
        predicted = boxes[chosen]
        wanted = batch.boxes[pairs.pictures, pairs.objects]
        corners = cxcywh_to_xyxy(predicted)
        overlaps = iou(corners.detach(), wanted, eps=SHARE_EPS).clamp(0, 1)
        qualities = torch.zeros_like(objectness)
        qualities[chosen] = overlaps
        focus = objectness.detach().sigmoid() ** FOCAL_GAMMA
        focus[chosen] = 1.0
        entropy = F.binary_cross_entropy_with_logits(objectness, qualities, weight=focus, reduction="sum")
        box = smooth_l1_loss(predicted, xyxy_to_cxcywh(wanted), beta=0.0, avg_factor=count)
        terms = {
            "loss_objectness": weights.objectness * entropy / count,
            "loss_box": weights.box * box,
            "loss_giou": weights.giou * giou_loss(corners, wanted, eps=SHARE_EPS, avg_factor=count),
        }
        return terms, overlaps

    def _mask_losses(
        self, embeddings: Tensor, features: Tensor, pairs: Pairs, batch: BatchTargets, count: Tensor
    ) -> dict[str, Tensor]:
        """Binary cross entropy and dice of the matched masks at uncertain points of their objects' boxes."""
        weights = self.weights
        objects = batch.starts[pairs.pictures] + pairs.objects
        known = batch.masks.known[objects]
        if not known.any():
            nothing = (embeddings.sum() + features.sum()) * 0.0  # keeps every parameter in the graph
            return {"loss_mask": nothing, "loss_dice": nothing}
        pictures = pairs.pictures[known]
        chosen = embeddings[pairs.layers[known], pictures, pairs.queries[known]]
        own = torch.bincount(pictures, minlength=len(features)).tolist()
        logits = torch.cat(
            [rows @ picture for rows, picture in zip(chosen.split(own), features.flatten(2), strict=True)]
        ).unflatten(1, features.shape[2:])
        points = uncertain_points(
            logits.detach(),
            weights.points,
            oversample_ratio=weights.oversample_ratio,
            importance_ratio=weights.importance_ratio,
            boxes=batch.boxes[pictures, pairs.objects[known]],
        )
        wanted = batch.masks.read(objects[known], points)
        found = sample_points(logits, points)
        entropy = F.binary_cross_entropy_with_logits(found, wanted, reduction="sum") / weights.points
        return {
            "loss_mask": weights.mask * entropy / count,
            "loss_dice": weights.dice * dice_loss(found, wanted, avg_factor=count),
        }

    def _denoising_losses(self, denoising: DenoisingPredictions, batch: BatchTargets) -> dict[str, Tensor]:
        """Losses of the repaired copies, behind ``denoising.``."""
        boxes = _full(denoising.boxes)
        pictures, queries, objects = denoising.queries.pairs()
        layers = torch.arange(len(boxes), device=boxes.device)[:, None].expand(-1, len(queries)).flatten()
        pairs = Pairs(
            layers=layers,
            pictures=pictures.repeat(len(boxes)),
            queries=queries.repeat(len(boxes)),
            objects=objects.repeat(len(boxes)),
        )
        count = mean_count(len(queries), boxes.device)
        terms, _ = self._set_losses(_full(denoising.objectness), boxes, pairs, batch, count)
        return {f"denoising.{name}": loss for name, loss in terms.items()}


def _full(x: Tensor) -> Tensor:
    """In float32 at least: costs and sums need it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@torch.no_grad()
def _check_finite(proposals: Proposals) -> None:
    """Refuse NaN and infinity also where no object would show them in its cost."""
    layers = proposals.layers
    parts = {
        "objectness": layers.objectness,
        "boxes": layers.boxes,
        "mask embeddings": layers.mask_embeddings,
        "mask features": proposals.mask_features,
        "dense scores": proposals.dense.logits,
        "dense boxes": proposals.dense.boxes,
    }
    # A sum is not finite if a term is not, and takes no memory.
    finite = torch.stack([part.sum(dtype=torch.float64) for part in parts.values()]).isfinite().tolist()
    wrong = [name for name, right in zip(parts, finite, strict=True) if not right]
    if wrong:
        raise ValueError(
            f"the proposals are not finite ({', '.join(wrong)}); check the pictures, lower the learning rate "
            "or clip the gradient"
        )
