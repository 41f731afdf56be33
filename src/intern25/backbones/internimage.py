# SPDX-License-Identifier: MIT
"""InternImage: a convolutional backbone whose core operator is DCNv3 (paper sections 3.2 and 3.3).

Channels-last inside, NCHW at the borders. Every published variant is one instance of one block:
``x + drop_path(layer_scale * post_norm(f(pre_norm(x))))`` with ``f`` first DCNv3, then an MLP.
"""
# After OpenGVLab/InternImage classification/models/intern_image.py (MIT)

# N batch, H W space, C channels of the stage

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from intern25.backbones.features import FeatureInfo
from intern25.ops.dcnv3.module import DCNv3
from intern25.ops.fused.training import fuses, mlp
from intern25.ops.layers import build_activation, build_norm

BlockNorm = Literal["pre", "post", "res_post"]
HeadKind = Literal["conv", "attention_pool"]
FourInts = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class InternImageConfig:
    """Architecture of one InternImage variant (paper Table 1)."""

    channels: int
    """Channels of the first stage; stage ``i`` has ``channels * 2**i``."""
    depths: FourInts
    """Blocks per stage."""
    groups: FourInts
    """Groups of DCNv3 per stage."""
    block_norm: BlockNorm = "pre"
    """Where a residual branch normalises: before, after, or on both sides of its function."""
    layer_scale: float | None = None
    """Initial value of the per-channel scale of each branch; None for no scale."""
    offset_scale: float = 1.0
    """Stretch ``s`` of the sampling grid and of the offsets."""
    dw_kernel_size: int = 3
    """Kernel of the depth-wise convolution that predicts offsets and modulation."""
    center_feature_scale: bool = False
    """Blend the sampled feature with the centre feature by a predicted gate."""
    extra_norm_blocks: tuple[int, ...] = ()
    """Blocks of the third stage followed by one more normalisation (H and G)."""
    head: HeadKind = "conv"
    """Classification head of the published classifier."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLP over the stage's channels."""
    drop_path: float = 0.0
    """Stochastic depth of the last block; rises linearly from 0 at the first."""
    remove_center: bool = False
    """Leave the centre out of the sampling points."""
    norm: Literal["LN", "BN"] = "LN"
    """Normalisation of stem, operator and down-sampling; blocks and stages always use LayerNorm."""
    activation: Literal["GELU", "SiLU", "ReLU"] = "GELU"
    """Activation of stem, operator and MLP."""

    def __post_init__(self) -> None:
        for name in ("depths", "groups", "extra_norm_blocks"):
            # JSON has no tuples: lists come back from a saved config.
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.depths) != 4 or len(self.groups) != 4:
            raise ValueError(
                f"InternImage has four stages, got depths={self.depths} and groups={self.groups}"
            )
        for channels, groups in zip(self.stage_channels, self.groups, strict=True):
            if channels % groups:
                raise ValueError(f"groups={groups} does not divide the stage's {channels} channels")
        if self.block_norm == "res_post" and self.layer_scale is not None:
            raise ValueError("block_norm='res_post' takes no layer_scale; set layer_scale=None")
        if any(not 0 <= block < self.depths[2] for block in self.extra_norm_blocks):
            raise ValueError(
                f"extra_norm_blocks={self.extra_norm_blocks} must name blocks of the third stage, "
                f"which has {self.depths[2]}"
            )

    @property
    def stage_channels(self) -> FourInts:
        """Channels of the four stages."""
        return cast(FourInts, tuple(self.channels * 2**stage for stage in range(4)))

    @property
    def has_stage_norm(self) -> bool:
        """Whether each stage ends with a normalisation of its own."""
        return self.block_norm != "post" or self.center_feature_scale


INTERNIMAGE_NANO = InternImageConfig(channels=32, depths=(2, 2, 6, 2), groups=(2, 4, 8, 16))
INTERNIMAGE_T = InternImageConfig(channels=64, depths=(4, 4, 18, 4), groups=(4, 8, 16, 32), drop_path=0.1)
INTERNIMAGE_S = InternImageConfig(
    channels=80,
    depths=(4, 4, 21, 4),
    groups=(5, 10, 20, 40),
    block_norm="post",
    layer_scale=1e-5,
    drop_path=0.4,
)
INTERNIMAGE_B = InternImageConfig(
    channels=112,
    depths=(4, 4, 21, 4),
    groups=(7, 14, 28, 56),
    block_norm="post",
    layer_scale=1e-5,
    drop_path=0.5,
)
INTERNIMAGE_L = InternImageConfig(
    channels=160,
    depths=(5, 5, 22, 5),
    groups=(10, 20, 40, 80),
    block_norm="post",
    layer_scale=1e-5,
    offset_scale=2.0,
    drop_path=0.1,
)
INTERNIMAGE_XL = InternImageConfig(
    channels=192,
    depths=(5, 5, 24, 5),
    groups=(12, 24, 48, 96),
    block_norm="post",
    layer_scale=1e-5,
    offset_scale=2.0,
    drop_path=0.2,
)
INTERNIMAGE_H = InternImageConfig(
    channels=320,
    depths=(6, 6, 32, 6),
    groups=(10, 20, 40, 80),
    block_norm="res_post",
    dw_kernel_size=5,
    center_feature_scale=True,
    extra_norm_blocks=(5, 11, 17, 23, 29),
    head="attention_pool",
    drop_path=0.2,
)
INTERNIMAGE_G = InternImageConfig(
    channels=512,
    depths=(2, 2, 48, 4),
    groups=(16, 32, 64, 128),
    block_norm="post",
    dw_kernel_size=5,
    center_feature_scale=True,
    extra_norm_blocks=(5, 11, 17, 23, 29, 35, 41, 47),
    head="attention_pool",
    drop_path=0.4,
)


class Stem(nn.Module):
    """Two strided 3x3 convolutions: image ``(N, 3, H, W)`` to tokens ``(N, H/4, W/4, C)``."""

    def __init__(self, config: InternImageConfig) -> None:
        super().__init__()
        half = config.channels // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1)
        self.norm1 = build_norm(half, config.norm)
        self.activation = build_activation(config.activation)
        self.conv2 = nn.Conv2d(half, config.channels, 3, stride=2, padding=1)
        self.norm2 = build_norm(config.channels, config.norm)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``(N, ceil(H/4), ceil(W/4), C)``."""
        x = self.activation(self.norm1(_to_nhwc(self.conv1(x_NCHW))))
        return cast(Tensor, self.norm2(_to_nhwc(self.conv2(_to_nchw(x)))))


class Downsample(nn.Module):
    """Strided 3x3 convolution and norm between two stages: ``(N, H, W, C)`` to ``(N, H/2, W/2, 2C)``."""

    def __init__(self, channels: int, config: InternImageConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = build_norm(2 * channels, config.norm)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        """Return ``(N, ceil(H/2), ceil(W/2), 2C)``."""
        return cast(Tensor, self.norm(_to_nhwc(self.conv(_to_nchw(x_NHWC)))))


class MLP(nn.Module):
    """Linear, activation, linear."""

    def __init__(self, channels: int, config: InternImageConfig) -> None:
        super().__init__()
        hidden = int(channels * config.mlp_ratio)
        self.fc1 = nn.Linear(channels, hidden)
        self.activation = build_activation(config.activation)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        if fuses(x, self.fc1, self.activation, self.fc2):
            return mlp(x, self.fc1, self.fc2)
        return cast(Tensor, self.fc2(self.activation(self.fc1(x))))


class DropPath(nn.Module):
    """Stochastic depth: drop the branch of a whole sample with ``rate``, else scale it by ``1/(1-rate)``."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return ``x`` plus the branch, of the same shape, or plus nothing."""
        if not self.training or self.rate == 0.0:
            return x + branch
        keep = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1.0 - self.rate)
        return torch.addcmul(x, branch, keep.div_(1.0 - self.rate))

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate:.4g}"


class ResidualBranch(nn.Module):
    r"""One residual branch, :math:`x + \mathrm{drop}(\gamma \cdot N_{post}(f(N_{pre}(x))))`."""

    def __init__(
        self, function: nn.Module, channels: int, drop_path: float, config: InternImageConfig
    ) -> None:
        super().__init__()
        # The norms of a block are LayerNorm whatever ``config.norm`` says, as in the official code.
        self.pre_norm = nn.Identity() if config.block_norm == "post" else build_norm(channels, "LN")
        self.function = function
        self.post_norm = nn.Identity() if config.block_norm == "pre" else build_norm(channels, "LN")
        self.scale = None if config.layer_scale is None else nn.Parameter(torch.empty(channels))
        self.drop_path = DropPath(drop_path)
        self._initial_scale = config.layer_scale
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the layer scale to its initial value."""
        if self.scale is not None and self._initial_scale is not None:
            nn.init.constant_(self.scale, self._initial_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(N, H, W, C)``."""
        branch = self.post_norm(self.function(self.pre_norm(x)))
        if self.scale is not None:
            branch = branch * self.scale
        return cast(Tensor, self.drop_path(x, branch))


class InternImageBlock(nn.Module):
    """DCNv3 across space, then an MLP across channels, each as a residual branch."""

    def __init__(self, channels: int, groups: int, drop_path: float, config: InternImageConfig) -> None:
        super().__init__()
        operator = DCNv3(
            channels,
            groups=groups,
            dw_kernel_size=config.dw_kernel_size,
            offset_scale=config.offset_scale,
            center_feature_scale=config.center_feature_scale,
            remove_center=config.remove_center,
            norm=config.norm,
            activation=config.activation,
        )
        self.dcn = ResidualBranch(operator, channels, drop_path, config)
        self.mlp = ResidualBranch(MLP(channels, config), channels, drop_path, config)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(N, H, W, C)``."""
        return cast(Tensor, self.mlp(self.dcn(x)))


class Stage(nn.Module):
    """Blocks of one resolution, with the extra norms of H and G and the stage's own norm."""

    def __init__(self, index: int, drop_paths: list[float], config: InternImageConfig) -> None:
        super().__init__()
        channels = config.stage_channels[index]
        self.blocks = nn.ModuleList(
            InternImageBlock(channels, config.groups[index], drop_path, config) for drop_path in drop_paths
        )
        extra = config.extra_norm_blocks if index == 2 else ()
        self.extra_norms = nn.ModuleDict({str(block): build_norm(channels, "LN") for block in extra})
        self.norm = build_norm(channels, "LN") if config.has_stage_norm else nn.Identity()
        self.grad_checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(N, H, W, C)``."""
        for index, block in enumerate(self.blocks):
            if self.grad_checkpointing and torch.is_grad_enabled():
                x = cast(Tensor, checkpoint(block, x, use_reentrant=False))
            else:
                x = block(x)
            if str(index) in self.extra_norms:
                x = self.extra_norms[str(index)](x)
        return cast(Tensor, self.norm(x))


class InternImage(nn.Module):
    """InternImage backbone: an image to feature maps at strides 4, 8, 16 and 32.

    Convention:
        - input: normalised ``(N, 3, H, W)``, any size from 32 upwards.
        - output: NCHW maps (channels-last in memory) after each stage's norm, before down-sampling.

    Args:
        config: Architecture, such as ``INTERNIMAGE_T``.
        out_indices: Stages whose maps :meth:`forward` returns, in this order.

    Example:
        >>> model = InternImage(INTERNIMAGE_NANO)
        >>> features = model(torch.zeros(1, 3, 64, 64))
        >>> len(features), features[0].shape
        (4, torch.Size([1, 32, 16, 16]))

    Source:
        InternImage, arXiv:2211.05778, section 3.3.
    """

    def __init__(
        self, config: InternImageConfig, *, out_indices: tuple[int, ...] | list[int] = (0, 1, 2, 3)
    ) -> None:
        super().__init__()
        if any(index not in range(4) for index in out_indices):
            raise ValueError(f"out_indices={tuple(out_indices)} must name stages 0, 1, 2 or 3")
        self.config = config
        self.out_indices = tuple(out_indices)
        self.feature_info = FeatureInfo(config.stage_channels, (4, 8, 16, 32), self.out_indices)
        # In plain Python: under a meta-device context a tensor would have no values to read.
        steps = max(sum(config.depths) - 1, 1)
        rates = iter(config.drop_path * block / steps for block in range(sum(config.depths)))
        self.stem = Stem(config)
        self.stages = nn.ModuleList(
            Stage(index, [next(rates) for _ in range(depth)], config)
            for index, depth in enumerate(config.depths)
        )
        self.downsamples = nn.ModuleList(
            Downsample(channels, config) for channels in config.stage_channels[:-1]
        )
        init_weights(self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass instead of keeping its activations."""
        for stage in self.stages:
            cast(Stage, stage).grad_checkpointing = enable

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps of ``out_indices``.

        Args:
            x: Normalised images, ``(N, 3, H, W)``.

        Returns:
            One ``(N, channels * 2**i, ceil(H / 2**(i+2)), ceil(W / 2**(i+2)))`` per stage.

        Raises:
            ValueError: ``x`` is not ``(N, 3, H, W)``.
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(x.shape)}")
        features = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            features.append(_to_nchw(x))
            if index < 3:
                x = self.downsamples[index](x)
        return [features[index] for index in self.out_indices]


def init_weights(module: nn.Module) -> None:
    """Initialise as the official code: truncated normal for linears, then DCNv3's own rule."""
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.trunc_normal_(child.weight, std=0.02)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
    for child in module.modules():
        if isinstance(child, DCNv3):
            child.reset_parameters()


def _to_nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _to_nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)
