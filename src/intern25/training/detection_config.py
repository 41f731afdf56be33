# SPDX-License-Identifier: MIT
"""What a detection training run does, as plain data; the docstrings are the command's help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intern25.training.downstream_config import DownstreamConfig
from intern25.training.run_config import check_minimum, check_share


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionTrainConfig(DownstreamConfig):
    """A detection training run."""

    data: str = ""
    """Folder or .zip in COCO, LVIS, Objects365, Open Images, Pascal VOC, YOLO or CrowdHuman form."""
    format: Literal["auto", "coco", "lvis", "objects365", "openimages", "voc", "yolo", "crowdhuman"] = "auto"
    """Form of the data; auto looks at the file names."""
    images: str = ""
    """Folder or .zip of the pictures where they lie elsewhere."""
    model: str = "mask_rcnn_internimage_nano"
    """Architecture, such as dino_internimage_t."""
    output: str = "runs/detect"
    """Folder of checkpoints, weights and logs."""
    train_split: Literal["train", "trainval"] = "train"
    """Pictures to train on; trainval (Pascal VOC) is scored on the test split."""
    sampling: Literal["plain", "repeat_factor", "class_aware"] = "plain"
    """Pictures of an epoch: each once; those of rare classes repeated (LVIS); or drawn class by class."""
    repeat_threshold: float = 1e-3
    """Share of the pictures below which repeat_factor takes a class as rare."""
    masks: Literal["auto", "yes", "no"] = "auto"
    """Train the mask head where the model has one; auto: if every object of the training data has a mask."""
    metric: Literal["coco", "lvis", "voc07", "voc12", "openimages", "crowdhuman"] = "coco"
    """Whose rules choose the best weights."""
    federated_classes: int = 0
    """Classes that DINO's classification loss looks at in one step (50 for LVIS); 0 = the architecture's."""
    max_detections: int = 0
    """Detections of a picture; 0 = the architecture's."""
    sampling_lr_mul: float = 1.0
    """Factor of the learning rate of deformable attention's sampling offsets (official offset_lr_scale)."""

    augmentation: Literal["single_scale", "multi_scale", "scale_range", "large_scale_jitter", "none"] = (
        "single_scale"
    )
    """single_scale, multi_scale, scale_range: the official 1x and 3x recipes, and that of DINO H and G;
    large_scale_jitter: scale 0.1 to 2, crop."""
    short_side: int = 800
    """Short side of the pictures."""
    train_short_side: int = 0
    """Largest short side in training; 0 = short_side."""
    min_scale: float = 0.6
    """Smallest short side of multi_scale and scale_range, as a share of the largest."""
    long_side: int = 1333
    """Limit of the long side."""
    jitter: tuple[float, float] = (0.1, 2.0)
    """Range of the scale of large_scale_jitter."""
    flip: float = 0.5
    """Probability of the horizontal flip; 0 for texts, signs and digits."""
    vertical_flip: float = 0.0
    """Probability of the vertical flip; for pictures without an upright position, such as microscopy."""
    turn: float = 0.0
    """Probability of a turn by 90, 180 or 270 degrees; likewise."""
    photometric: float = 0.0
    """Probability of disturbed colours."""
    mosaic: float = 0.0
    """Probability of putting the picture together with three others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "jitter", tuple(self.jitter))
        DownstreamConfig.__post_init__(self)
        check_minimum(
            self,
            {
                "max_detections": 0, "sampling_lr_mul": 0, "short_side": 32, "train_short_side": 0,
                "federated_classes": 0,
            },
        )  # fmt: skip
        check_share(
            self, "repeat_threshold", "min_scale", "flip", "vertical_flip", "turn", "photometric", "mosaic"
        )
        if self.long_side < max(self.short_side, self.train_short_side):
            raise ValueError(
                f"long_side={self.long_side} must be at least short_side={self.short_side} and "
                f"train_short_side={self.train_short_side}"
            )
