# SPDX-License-Identifier: MIT
"""InternImage classifiers: backbone plus the convolutional head (T to XL) or attention pooling (H, G)."""
# After OpenGVLab/InternImage classification/models/intern_image.py (MIT)

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage, InternImageConfig, init_weights
from intern25.ops.layers import build_activation, build_norm

CONV_HEAD_RATIO = 1.5
POOL_CHANNELS = 1024
POOL_HEADS = 16
POOL_OUT_CHANNELS = 768


class ConvHead(nn.Module):
    """1x1 convolution to 1.5 times the channels, batch norm, activation, average pool."""

    def __init__(self, config: InternImageConfig) -> None:
        super().__init__()
        channels = config.stage_channels[3]
        self.num_features = int(channels * CONV_HEAD_RATIO)
        self.conv = nn.Conv2d(channels, self.num_features, 1, bias=False)
        self.norm = nn.BatchNorm2d(self.num_features)
        self.activation = build_activation(config.activation)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return pooled features, ``(N, num_features)``, from the four NCHW maps."""
        x = self.activation(self.norm(self.conv(features[3])))
        return cast(Tensor, x.mean(dim=(2, 3)))


class AttentionPool(nn.Module):
    """One query, the mean token, attends to all tokens (16 heads of 64, no positions)."""

    def __init__(self) -> None:
        super().__init__()
        width = POOL_CHANNELS
        self.query_norm, self.key_norm, self.value_norm = (build_norm(width, "LN") for _ in range(3))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.projection = nn.Linear(width, POOL_OUT_CHANNELS)

    def forward(self, tokens_NLC: Tensor) -> Tensor:
        """Return ``(N, 768)``."""
        query = self.query(self.query_norm(tokens_NLC.mean(dim=1, keepdim=True)))
        key = self.key(self.key_norm(tokens_NLC))
        value = self.value(self.value_norm(tokens_NLC))
        query, key, value = (t.unflatten(-1, (POOL_HEADS, -1)).transpose(1, 2) for t in (query, key, value))
        pooled = F.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.projection(pooled.transpose(1, 2).flatten(2)).squeeze(1))


class AttentionPoolHead(nn.Module):
    """Sum of the last two maps at stride 16, attention pooling, norm (InternImage-H and G)."""

    num_features = POOL_OUT_CHANNELS

    def __init__(self, config: InternImageConfig) -> None:
        super().__init__()
        self.expand = nn.Conv2d(config.stage_channels[3], 4 * POOL_CHANNELS, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.lateral = nn.Conv2d(config.stage_channels[2], POOL_CHANNELS, 1)
        self.pool = AttentionPool()
        self.norm = build_norm(POOL_OUT_CHANNELS, "LN")

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return pooled features, ``(N, 768)``, from the four NCHW maps.

        Raises:
            ValueError: The two maps do not fit, because the image's sides are not multiples of 32.
        """
        fine, coarse = features[2], features[3]
        if fine.shape[-2:] != (2 * coarse.shape[-2], 2 * coarse.shape[-1]):
            raise ValueError(
                "the attention-pooling head needs image sides that are multiples of 32; its maps at "
                f"strides 16 and 32 are {tuple(fine.shape[-2:])} and {tuple(coarse.shape[-2:])}"
            )
        tokens = self.lateral(fine) + self.shuffle(self.expand(coarse))
        return cast(Tensor, self.norm(self.pool(tokens.flatten(2).transpose(1, 2))))


class InternImageClassifier(nn.Module):
    """InternImage with its classification head.

    Args:
        config: Architecture, such as ``INTERNIMAGE_T``; ``config.head`` chooses the head.
        num_classes: Width of the last linear layer; 0 returns pooled features instead of logits.

    Example:
        >>> import torch
        >>> from intern25.backbones import INTERNIMAGE_NANO
        >>> model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=10)
        >>> model(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])

    Source:
        InternImage, arXiv:2211.05778, section 3.3 and appendix A.
    """

    def __init__(self, config: InternImageConfig, num_classes: int = 1000) -> None:
        super().__init__()
        self.config = config
        self.backbone = InternImage(config)
        self.head = AttentionPoolHead(config) if config.head == "attention_pool" else ConvHead(config)
        init_weights(self.head)
        self.num_features = self.head.num_features
        self.classifier: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)

    @property
    def feature_info(self) -> object:
        """Channels and strides of the backbone's maps."""
        return self.backbone.feature_info

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last linear layer by a fresh one; 0 removes it."""
        if num_classes < 0:
            raise ValueError(f"num_classes={num_classes} must be 0 (pooled features) or more")
        self.num_classes = num_classes
        if num_classes == 0:
            self.classifier = nn.Identity()
            return
        like = next(self.head.parameters())
        self.classifier = nn.Linear(self.num_features, num_classes, device=like.device, dtype=like.dtype)
        init_weights(self.classifier)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        self.backbone.set_grad_checkpointing(enable)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Return the backbone's four NCHW maps."""
        return cast(list[Tensor], self.backbone(x))

    def forward_head(self, features: list[Tensor], *, pre_logits: bool = False) -> Tensor:
        """Return logits ``(N, num_classes)``, or pooled features ``(N, num_features)``."""
        pooled = cast(Tensor, self.head(features))
        return pooled if pre_logits else cast(Tensor, self.classifier(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits.

        Args:
            x: Normalised images, ``(N, 3, H, W)``.

        Returns:
            ``(N, num_classes)``, before any softmax.
        """
        return self.forward_head(self.forward_features(x))


def num_parameters(model: nn.Module) -> int:
    """Count the parameters of ``model``; works on the meta device."""
    return sum(parameter.numel() for parameter in model.parameters())
