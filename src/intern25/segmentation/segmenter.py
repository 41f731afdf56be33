# SPDX-License-Identifier: MIT
"""What every segmenter is: a backbone, a head that scores each class on a coarse map, and an enlargement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage, InternImageConfig
from intern25.layers.convolution import Size, resize


class Segmenter(nn.Module):
    """Base of the segmenters; a subclass gives :meth:`scores` and its losses.

    Convention:
        - images: normalised ``(N, 3, H, W)``; sides that are multiples of 32 lose nothing.
        - labels: int64 class numbers from 0; 255 is not learnt from.

    Args:
        config: The architecture.
        backbone: Another backbone than the config's: any module that returns a list of NCHW maps and has
            ``feature_info``.
    """

    config: Any
    """Architecture, as given."""

    def __init__(self, backbone_config: InternImageConfig, backbone: nn.Module | None) -> None:
        super().__init__()
        self.backbone = InternImage(backbone_config) if backbone is None else backbone

    @property
    def num_classes(self) -> int:
        """Classes of the output."""
        return cast(int, self.config.num_classes)

    @property
    def feature_channels(self) -> list[int]:
        """Channels of the backbone's maps, finest first."""
        return list(cast(Callable[[], Sequence[int]], self.backbone.feature_info.channels)())  # type: ignore[union-attr]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the backbone's blocks in the backward pass instead of keeping their activations.

        Raises:
            ValueError: The backbone cannot do that.
        """
        switch = getattr(self.backbone, "set_grad_checkpointing", None)
        if switch is None:
            raise ValueError(f"{type(self.backbone).__name__} has no set_grad_checkpointing()")
        switch(enable)

    def features(self, images: Tensor) -> list[Tensor]:
        """The backbone's maps, finest first.

        Raises:
            ValueError: ``images`` is not ``(N, 3, H, W)``.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
        return cast(list[Tensor], self.backbone(images))

    def scores(self, images: Tensor) -> Tensor:
        """Score of each class on the head's own grid, ``(N, num_classes, h, w)``, before any enlargement."""
        raise NotImplementedError(f"{type(self).__name__} must define scores()")

    def losses(self, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """Weighted losses by name; their sum is minimised."""
        raise NotImplementedError(f"{type(self).__name__} must define losses()")

    def forward(self, images: Tensor, targets: Any = None) -> Tensor | dict[str, Tensor]:
        """Score each class at each pixel, or compare with targets.

        Args:
            images: Normalised ``(N, 3, H, W)``.
            targets: ``(N, H, W)`` class numbers, 255 where nothing is to be learnt; None to predict.

        Returns:
            ``(N, num_classes, H, W)`` scores before any softmax; with ``targets`` weighted losses by name.

        Raises:
            ValueError: Images or targets have another shape or type, or a target is no class.
        """
        if targets is not None:
            return self.losses(images, targets)
        size: Size = (images.shape[-2], images.shape[-1])
        return resize(self.scores(images), size)


def check_labels(labels: Tensor, images: Tensor, num_classes: int, ignore: int) -> None:
    """Refuse labels that are no ``(N, H, W)`` integers of the images' size, or name no class.

    Raises:
        ValueError: The labels are not as expected.
    """
    expected = (images.shape[0], *images.shape[-2:])
    if tuple(labels.shape) != expected or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"expected integer labels of shape {expected}, got {labels.dtype} of {tuple(labels.shape)}"
        )
    if labels.device.type != "cpu":
        return  # reading values back would stall the device
    wrong = labels[(labels < 0) | ((labels >= num_classes) & (labels != ignore))]
    if wrong.numel():
        raise ValueError(
            f"label {int(wrong[0])} is no class: classes are 0 to {num_classes - 1}, {ignore} is ignored; "
            "map the labels or create the model with more num_classes"
        )
