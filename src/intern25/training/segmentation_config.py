# SPDX-License-Identifier: MIT
"""What a segmentation training run does, as plain data; the docstrings are the command's help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intern25.training.downstream_config import DownstreamConfig
from intern25.training.run_config import check_minimum, check_share


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationTrainConfig(DownstreamConfig):
    """A semantic segmentation training run."""

    data: str = ""
    """Folder or .zip: images/ and masks/ with classes.txt, or ADE20K, Cityscapes, COCO-Stuff as published."""
    format: str = "auto"
    """Form of the data; auto looks at the file names."""
    model: str = "upernet_internimage_nano"
    """Architecture, such as upernet_internimage_t."""
    output: str = "runs/segment"
    """Folder of checkpoints, weights and logs."""
    base_lr: float = 6e-5
    """Peak learning rate for 16 images an update; scaled in proportion to the images of an update."""
    schedule: Literal["step", "poly", "cosine"] = "poly"
    """Learning rate after the warm-up: a tenth from each step on, a straight line to 0, or a cosine."""
    warmup_updates: int = 1500
    """Updates of linear rise to the peak."""
    warmup_ratio: float = 1e-6
    """Share of the rate at the first update."""
    class_balance: float = 0.0
    """Weight classes by their share of the pixels to this negative power: 0 = alike, 0.5 helps rare ones."""
    dice_weight: float = -1.0
    """Weight of the dice loss beside the cross entropy; -1 = the architecture's."""

    crop: tuple[int, int] = (512, 512)
    """Height and width of the training crops."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale before the crop."""
    short_side: int = 512
    """Limit of the short side at scale 1 and in the evaluation."""
    long_side: int = 2048
    """Limit of the long side at scale 1 and in the evaluation."""
    slide: int = 0
    """Evaluate by windows the size of the crop at this distance; 0 = the whole picture at once."""
    flip: float = 0.5
    """Probability of the horizontal flip."""
    vertical_flip: float = 0.0
    """Probability of the vertical flip; for pictures without an upright position."""
    turn: float = 0.0
    """Probability of a turn by 90, 180 or 270 degrees; likewise."""
    photometric: float = 1.0
    """Probability of disturbed colours."""

    def __post_init__(self) -> None:
        for name in ("crop", "scale"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        DownstreamConfig.__post_init__(self)
        check_minimum(self, {"class_balance": 0, "dice_weight": -1, "short_side": 32, "slide": 0})
        check_share(self, "flip", "vertical_flip", "turn", "photometric")
        if self.long_side < self.short_side:
            raise ValueError(f"long_side={self.long_side} must be at least short_side={self.short_side}")
        if min(self.crop) < 32:
            raise ValueError(f"crop={self.crop} must be at least 32 pixels high and wide")
