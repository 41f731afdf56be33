# SPDX-License-Identifier: MIT
"""What the heads learn from regions: sampling, the losses of classes and boxes, the loss of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from intern25.detection.assigning import MaxIoUAssigner, sample
from intern25.detection.rcnn_config import RCNNConfig
from intern25.detection.roi_heads import BoxHead, codes_of
from intern25.detection.targets import DetectionTarget
from intern25.layers.boxes import clip_boxes
from intern25.layers.losses import giou_loss, smooth_l1_loss

MASK_INSIDE = 0.5
"""Share of a target cell that an object must cover."""
MASKS_AT_ONCE = 16
"""Objects whose masks are cropped in one go."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledRegions:
    """Regions of one picture that a stage learns from; those with an object first."""

    boxes: Tensor
    """``(K, 4)``."""
    labels: Tensor
    """``(K,)`` int64; the number of classes stands for background."""
    objects: Tensor
    """``(P,)`` int64: object of each of the first ``P`` regions."""
    are_objects: Tensor
    """``(K,)`` bool: the region is the object's own box, not a proposal."""

    @property
    def positives(self) -> int:
        """Regions with an object."""
        return len(self.objects)


def sample_regions(
    proposals: Tensor, target: DetectionTarget, config: RCNNConfig, stage: int = 0
) -> SampledRegions:
    """Choose the regions a stage learns from; the boxes of the objects are proposals too.

    Args:
        proposals: ``(R, 4)``.
        target: Objects of the picture.
        config: Overlaps, numbers.
        stage: Stage of refinement.
    """
    iou = config.stage_ious[stage]
    assigner = MaxIoUAssigner(
        positive_iou=iou,
        negative_iou=iou,
        min_forced_iou=iou,
        forced_matches=config.forced_matches,
        ignored_overlap=config.crowd_overlap,
    )
    objects = target.boxes.to(proposals)
    ignored = None if target.ignored is None else target.ignored.to(proposals)
    own = torch.arange(len(objects), device=proposals.device)
    assigned = torch.cat((own, assigner(proposals, objects, ignored)))
    boxes = torch.cat((objects, proposals))
    positives, negatives = sample(assigned, config.box_samples, config.box_positive_fraction)
    chosen = torch.cat((positives, negatives))
    background = target.labels.new_full((len(negatives),), config.num_classes)
    return SampledRegions(
        boxes=boxes[chosen],
        labels=torch.cat((target.labels[assigned[positives]], background)),
        objects=assigned[positives],
        are_objects=chosen < len(objects),
    )


def box_losses(
    head: BoxHead,
    logits: Tensor,
    codes: Tensor,
    samples: Sequence[SampledRegions],
    targets: Sequence[DetectionTarget],
    config: RCNNConfig,
) -> dict[str, Tensor]:
    """Cross-entropy of classes over all regions, box loss of those with an object; both over all regions.

    Args:
        head: Head that made ``logits`` and ``codes``.
        logits: ``(K, classes + 1)`` over the regions of all pictures.
        codes: ``(K, classes or 1, 4)``.
        samples: Regions of every picture.
        targets: Objects of every picture.
        config: Kind and weight of the box loss.

    Returns:
        ``loss_class`` and ``loss_box``.
    """
    labels = torch.cat([chosen.labels for chosen in samples])
    regions = torch.cat([chosen.boxes for chosen in samples])
    count = max(len(labels), 1)
    wanted = torch.cat(
        [target.boxes.to(codes)[chosen.objects] for chosen, target in zip(samples, targets, strict=True)]
    )
    positive = torch.nonzero(labels < config.num_classes).flatten()
    predicted = codes_of(codes[positive], labels[positive])
    if config.box_loss == "giou":
        box = giou_loss(head.coder.decode(regions[positive], predicted), wanted, avg_factor=count)
    else:
        beta = 1.0 if config.box_loss == "smooth_l1" else 0.0
        coded = head.coder.encode(regions[positive], wanted)
        box = smooth_l1_loss(predicted, coded, beta=beta, avg_factor=count)
    return {
        "loss_class": F.cross_entropy(logits, labels, reduction="sum") / count,
        "loss_box": config.box_loss_weight * box,
    }


def mask_loss(
    logits: Tensor, samples: Sequence[SampledRegions], targets: Sequence[DetectionTarget]
) -> Tensor:
    """Binary cross-entropy of the mask of the object's class, the mean over regions and cells.

    Args:
        logits: ``(P, classes, S, S)`` of the regions with an object, picture after picture.
        samples: Regions of every picture.
        targets: Objects of every picture, with masks.

    Returns:
        A scalar; zero without objects.
    """
    if len(logits) == 0:
        return logits.sum()
    labels = torch.cat([chosen.labels[: chosen.positives] for chosen in samples])
    wanted = torch.cat([mask_targets(a, b, logits.shape[-1]) for a, b in zip(samples, targets, strict=True)])
    chosen = logits[torch.arange(len(logits), device=logits.device), labels]
    return F.binary_cross_entropy_with_logits(chosen, wanted.to(logits))


@torch.no_grad()
def mask_targets(chosen: SampledRegions, target: DetectionTarget, size: int) -> Tensor:
    """Masks of the objects seen in their regions.

    Args:
        chosen: Regions of the picture.
        target: Objects with masks.
        size: Side of the result.

    Returns:
        ``(P, size, size)`` bool for the regions with an object.
    """
    assert target.masks is not None, "the model asks for masks before it learns from them"
    regions = chosen.boxes[: chosen.positives]
    if len(regions) == 0:
        return torch.zeros(0, size, size, dtype=torch.bool, device=regions.device)
    inside = clip_boxes(regions, (target.masks.shape[1], target.masks.shape[2]))
    output = torch.empty(len(regions), size, size, dtype=torch.bool, device=regions.device)
    # In parts, because the masks of all objects as floating-point pictures would take gigabytes.
    for start in range(0, len(target), MASKS_AT_ONCE):
        part = torch.nonzero((chosen.objects >= start) & (chosen.objects < start + MASKS_AT_ONCE)).flatten()
        masks = target.masks[start : start + MASKS_AT_ONCE, None].to(regions)
        rois = torch.cat((chosen.objects[part, None].to(regions) - start, inside[part]), dim=1)
        cropped = roi_align(masks, rois, size, 1.0, sampling_ratio=-1, aligned=True)
        output[part] = cropped[:, 0] >= MASK_INSIDE
    return output
