# SPDX-License-Identifier: MIT
"""Counting; the published totals are checked against the goldens in test_goldens.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.flops import count_macs
from intern25.backbones.internimage import InternImage
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention
from intern25.weights.create import create_model
from tests.weights.samples import TINY, VARIANTS


def test_published_total_of_t() -> None:
    """InternImage-T at 224: the "5 G" of the paper (Table 2)."""
    count = count_macs(create_model("internimage_t", device="meta"), 224)
    assert (count.conv, count.linear, count.dcn) == (281_186_304, 4_504_565_760, 99_348_480)
    assert count.total == 4_885_100_544


def test_one_block_by_hand() -> None:
    """Stage 1 of TINY at 64 x 64: 16 x 16 pixels, 16 channels, 1 group, 9 points."""
    with_block = count_macs(InternImage(TINY), 64)
    pixels = [(16 // 2**i) ** 2 for i in range(4)]
    channels, groups = [16, 32, 64, 128], [1, 2, 4, 8]
    per_stage = list(zip(pixels, channels, groups, strict=True))
    linear = sum(n * (2 * c * c + 27 * g * c + 8 * c * c) for n, c, g in per_stage)
    depthwise = sum(n * 9 * c for n, c, _ in per_stage)
    stem = 32 * 32 * 27 * 8 + 16 * 16 * 72 * 16
    down = sum(n * 9 * (c // 2) * c for n, c, _ in per_stage[1:])
    assert with_block.linear == linear
    assert with_block.conv == depthwise + stem + down
    assert with_block.dcn == sum(5 * 9 * n * c for n, c, _ in per_stage)
    assert with_block.attention == 0
    assert with_block.flops == 2 * (with_block.conv + linear) + 8 * with_block.dcn // 5


def test_attention_and_gates_are_counted() -> None:
    """One query against 16 tokens of 1024, twice; the gate is a linear layer."""
    plain, gated = VARIANTS["post_gate"], VARIANTS["res_post"]
    assert count_macs(InternImageClassifier(plain, 5), 64).attention == 2 * 16 * 1024
    assert count_macs(InternImageClassifier(gated, 5), 64).linear > count_macs(InternImage(TINY), 64).linear


def test_parts_of_heads_by_hand() -> None:
    """Transposed convolution, attention, deformable attention, norms and biases beside one backbone."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = InternImage(TINY)
            self.up = nn.ConvTranspose2d(128, 8, 2, stride=2)
            self.norm = nn.GroupNorm(2, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.deformable = MultiScaleDeformableAttention(8, heads=2, levels=1, points=4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.up(self.backbone(x)[3]))  # (1, 8, 4, 4)
            tokens = x.flatten(2).transpose(1, 2)
            queries, _ = self.attention(tokens[:, :5], tokens, tokens)
            references = torch.zeros(1, 5, 1, 2, device=x.device)
            return self.deformable(queries, references, tokens, ((4, 4),))

    alone, whole = count_macs(InternImage(TINY), 64), count_macs(Head(), 64)
    assert whole.conv - alone.conv == (2 * 2 * 128) * (8 * 2 * 2)
    # Projections of 5 queries and 16 keys twice; then values, outputs, offsets and weights of 5 queries.
    projections = (5 + 16) * 2 * 64
    assert whole.linear - alone.linear == projections + 16 * 64 + 5 * 64 + 5 * 8 * (16 + 8)
    assert whole.attention == 2 * 5 * 16 * 8
    assert whole.deformable == 4 * 5 * 8 * 4
    assert whole.unseen - alone.unseen == projections
    assert whole.other - alone.other == 2 * 16 * 8 + 16 * 8
    assert whole.dcn == alone.dcn
    assert whole.authors == whole.total - whole.attention - whole.deformable - whole.unseen + whole.other


def test_the_gate_is_not_in_the_authors_count() -> None:
    gated = count_macs(InternImage(VARIANTS["res_post"]), 64)
    assert gated.unseen == sum((16 // 2**i) ** 2 * 16 * 2**i * 2**i for i in range(4))


def test_the_model_is_left_alone() -> None:
    model = InternImageClassifier(TINY, 5).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count = count_macs(model, (64, 96))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert count_macs(model.bfloat16(), (96, 64)) == count


def test_models_without_the_operator() -> None:
    with pytest.raises(ValueError, match="no DCNv3"):
        count_macs(nn.Sequential(nn.Conv2d(3, 4, 1)), 32)
