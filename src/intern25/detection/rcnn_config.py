# SPDX-License-Identifier: MIT
"""Architectures of Mask R-CNN and Cascade Mask R-CNN: one description, a single stage or several."""
# Values after OpenGVLab/InternImage detection/configs and the mmdetection 2.28 base configs they extend

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from intern25.backbones.internimage import (
    INTERNIMAGE_B,
    INTERNIMAGE_L,
    INTERNIMAGE_NANO,
    INTERNIMAGE_S,
    INTERNIMAGE_T,
    INTERNIMAGE_XL,
    InternImageConfig,
)

BoxLoss = Literal["l1", "smooth_l1", "giou"]
FourFloats = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class RCNNConfig:
    """What both detectors share: pyramid, proposals, heads, sampling for training, rules of detection."""

    backbone: InternImageConfig
    """Backbone; detectors use other layer scales and drop-path rates than classifiers."""
    num_classes: int = 80
    """Classes of objects; background is not counted."""
    fpn_channels: int = 256
    """Channels of every map of the pyramid, and of the convolutions of the proposal network."""
    anchor_scales: tuple[float, ...] = (8.0,)
    """Side of the square anchor over the stride of its level."""
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height over width of the anchors."""
    anchor_border: int | None = None
    """Anchors further outside the picture than this learn nothing; None keeps all of them."""
    rpn_positive_iou: float = 0.7
    """An anchor is an object from this overlap on."""
    rpn_negative_iou: float = 0.3
    """An anchor is background below this overlap; it is also the least overlap of a forced match."""
    rpn_samples: int = 256
    """Anchors a picture trains the proposal network with."""
    rpn_positive_fraction: float = 0.5
    """Largest share of objects among them."""
    rpn_beta: float = 0.0
    """Beta of the smooth L1 loss of the proposals; 0 is L1."""
    proposals_per_level: int = 1000
    """Best proposals of a level that reach NMS."""
    proposals_per_level_training: int = 2000
    """The same while training."""
    max_proposals: int = 1000
    """Proposals of a picture after NMS."""
    max_proposals_training: int = 1000
    """The same while training."""
    proposal_nms_iou: float = 0.7
    """NMS of proposals, each level for itself."""
    stage_ious: tuple[float, ...] = (0.5,)
    """Overlap from which a region is an object, per stage of refinement."""
    stage_deviations: tuple[FourFloats, ...] = ((0.1, 0.1, 0.2, 0.2),)
    """Deviations the box targets are divided by, per stage."""
    stage_weights: tuple[float, ...] = (1.0,)
    """Weight of the losses, per stage."""
    forced_matches: bool = True
    """Whether a stage also takes the best region of every object, if it reaches the overlap."""
    box_samples: int = 512
    """Regions a picture trains a stage with."""
    box_positive_fraction: float = 0.25
    """Largest share of objects among them."""
    box_roi_size: int = 7
    """Side of the features of a region for the box head."""
    box_head_convs: int = 0
    """3x3 convolutions (with batch norm) of the box head."""
    box_head_fcs: int = 2
    """Fully connected layers of the box head."""
    box_head_width: int = 1024
    """Width of them."""
    class_agnostic: bool = False
    """One box a region instead of one a class."""
    box_loss: BoxLoss = "l1"
    """``giou`` compares decoded boxes, the others coded ones."""
    box_loss_weight: float = 1.0
    """Weight of the box loss against that of the classes."""
    with_mask: bool = True
    """Whether there is a mask head."""
    mask_roi_size: int = 14
    """Side of the features of a region for the mask head; masks have twice as many pixels."""
    mask_head_convs: int = 4
    """3x3 convolutions of the mask head."""
    mask_head_channels: int = 256
    """Channels of them."""
    score_threshold: float = 0.05
    """Boxes of lower scores are not detections."""
    nms_iou: float = 0.5
    """NMS of detections, each class for itself."""
    max_detections: int = 100
    """Detections of a picture."""
    mask_threshold: float = 0.5
    """Probability from which a pixel belongs to an object."""
    crowd_overlap: float = 0.5
    """Share inside a crowd above which a region is not background; 1 makes crowds background."""

    def __post_init__(self) -> None:
        backbone: object = self.backbone
        if isinstance(backbone, dict):
            object.__setattr__(self, "backbone", InternImageConfig(**backbone))
        for field in fields(self):
            # JSON has no tuples: lists come back from a saved config.
            object.__setattr__(self, field.name, _tuples(getattr(self, field.name)))
        stages = {len(self.stage_ious), len(self.stage_deviations), len(self.stage_weights)}
        if len(stages) != 1 or 0 in stages:
            raise ValueError(
                f"stage_ious={self.stage_ious}, stage_deviations={self.stage_deviations} and "
                f"stage_weights={self.stage_weights} must have one value for each stage"
            )
        if self.num_classes < 1:
            raise ValueError(f"num_classes={self.num_classes} must be 1 or more")
        if self.box_loss not in ("l1", "smooth_l1", "giou"):
            raise ValueError(f"box_loss={self.box_loss!r} must be 'l1', 'smooth_l1' or 'giou'")
        if self.box_head_fcs < 1:
            raise ValueError(f"box_head_fcs={self.box_head_fcs} must be 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRCNNConfig(RCNNConfig):
    """Mask R-CNN: one stage (arXiv:1703.06870)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CascadeMaskRCNNConfig(RCNNConfig):
    """Cascade Mask R-CNN: three stages of rising quality (arXiv:1906.09756)."""

    anchor_border: int | None = 0
    rpn_beta: float = 1 / 9
    max_proposals_training: int = 2000
    stage_ious: tuple[float, ...] = (0.5, 0.6, 0.7)
    stage_deviations: tuple[FourFloats, ...] = (
        (0.1, 0.1, 0.2, 0.2),
        (0.05, 0.05, 0.1, 0.1),
        (0.033, 0.033, 0.067, 0.067),
    )
    stage_weights: tuple[float, ...] = (1.0, 0.5, 0.25)
    forced_matches: bool = False
    box_head_convs: int = 4
    box_head_fcs: int = 1
    box_loss: BoxLoss = "giou"
    box_loss_weight: float = 10.0


def _tuples(value: object) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


MASK_RCNN_NANO = MaskRCNNConfig(
    backbone=INTERNIMAGE_NANO,
    fpn_channels=96,
    anchor_scales=(4.0,),
    proposals_per_level=400,
    proposals_per_level_training=500,
    max_proposals=300,
    max_proposals_training=300,
    box_samples=128,
    box_head_width=256,
    mask_head_convs=3,
    mask_head_channels=96,
)
"""For small pictures (320x240 to 640x480) and a CPU."""
FASTER_RCNN_NANO = replace(MASK_RCNN_NANO, with_mask=False)
"""The same for data without masks (arXiv:1506.01497)."""
MASK_RCNN_T = MaskRCNNConfig(backbone=replace(INTERNIMAGE_T, layer_scale=1.0, drop_path=0.2))
MASK_RCNN_S = MaskRCNNConfig(backbone=replace(INTERNIMAGE_S, layer_scale=1.0, drop_path=0.3))
MASK_RCNN_B = MaskRCNNConfig(backbone=replace(INTERNIMAGE_B, layer_scale=1.0, drop_path=0.4))
CASCADE_L = CascadeMaskRCNNConfig(backbone=replace(INTERNIMAGE_L, layer_scale=1.0, drop_path=0.4))
CASCADE_XL = CascadeMaskRCNNConfig(backbone=replace(INTERNIMAGE_XL, layer_scale=1.0, drop_path=0.4))
CASCADE_XL_CROWDHUMAN = replace(
    CASCADE_XL,
    num_classes=1,
    with_mask=False,
    class_agnostic=True,
    box_head_convs=0,
    box_head_fcs=2,
    box_loss="smooth_l1",
    box_loss_weight=1.0,
)
