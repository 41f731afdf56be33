# SPDX-License-Identifier: MIT
"""Small segmenters learn two pictures by heart; other backbones; input that cannot be used."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.segmentation.inference import label_maps
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.mask2former_targets import SegmentTarget
from intern25.segmentation.panoptic import instances
from intern25.segmentation.segformer import SegFormer
from intern25.segmentation.segmenter import Segmenter
from intern25.segmentation.upernet import UperNet
from tests.segmentation.models import TINY_MASK2FORMER, TINY_SEGFORMER, TINY_UPERNET

ALL = {
    "upernet": (UperNet, TINY_UPERNET),
    "upernet_concat": (UperNet, dataclasses.replace(TINY_UPERNET, fusion="concat", dice_weight=0.5)),
    "segformer": (SegFormer, TINY_SEGFORMER),
    "mask2former": (Mask2Former, TINY_MASK2FORMER),
}


def build(name: str) -> Segmenter:
    kind, config = ALL[name]
    return kind(config)


def two_pictures() -> tuple[Tensor, Tensor]:
    """Rectangles whose colour tells their class, and an ignored border whose colour tells nothing."""
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0, 8:40, 8:32], labels[0, 32:56, 40:60] = 1, 2
    labels[1, 16:48, 20:56], labels[1, 4:20, 0:16] = 3, 1
    colours = torch.tensor([[-1.0, -1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, 1.0, 1.0]])
    images = colours[labels].permute(0, 3, 1, 2) + 0.05 * torch.randn(2, 3, 64, 64)
    labels[:, -4:] = 255
    return images, labels


def train(model: nn.Module, images: Tensor, targets: object, steps: int, rate: float) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    totals = []
    for _ in range(steps):
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        totals.append(loss.item())
    return totals


@pytest.mark.parametrize("name", ALL)
def test_two_pictures_are_learnt_by_heart(name: str) -> None:
    model, (images, labels) = build(name), two_pictures()
    rate = 2e-3 if name == "mask2former" else 6e-3
    totals = train(model, images, labels, steps=50, rate=rate)
    assert sum(totals[-5:]) < 0.4 * sum(totals[:5])
    found = torch.stack([picture.labels for picture in label_maps(model.eval(), images)])
    valid = labels != 255
    # A guess of the background alone is right at half of them; borders lie between cells of 4 x 4 pixels.
    assert (found == labels)[valid].float().mean() > 0.88


def test_mask2former_learns_instances() -> None:
    """Two objects of the same class stay two."""
    model, images = Mask2Former(TINY_MASK2FORMER), torch.zeros(1, 3, 64, 64)
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 8:32, 4:28], masks[1, 32:60, 36:60] = True, True
    images[0, 0, masks[0]], images[0, 1, masks[1]] = 2.0, 2.0
    train(model, images, [SegmentTarget(torch.tensor([1, 1]), masks)], steps=60, rate=2e-3)
    with torch.no_grad():
        (found,) = instances(*model.eval().predict_queries(images), input_size=(64, 64))
    best = found.filter(min_score=0.5)
    assert best.labels.tolist() == [1, 1]
    assert best.masks is not None
    for mask in masks.numpy():
        overlap = max((mask & m).sum() / (mask | m).sum() for m in best.masks)
        assert overlap > 0.8


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_learns_under_autocast(name: str) -> None:
    model, (images, labels) = build(name), two_pictures()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(images, labels)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not silent


@pytest.mark.parametrize("name", ["upernet", "segformer"])
def test_pictures_without_labels_teach_nothing(name: str) -> None:
    model, (images, labels) = build(name), two_pictures()
    losses = model(images, torch.full_like(labels, 255))
    sum(losses.values()).backward()
    assert all(loss.item() == 0 for loss in losses.values())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


class Ladder(nn.Module):
    """Another backbone: four maps and their description."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_info = FeatureInfo((4, 6, 8, 10), (4, 8, 16, 32), (0, 1, 2, 3))
        self.steps = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=s, padding=s // 2)
            for a, b, s in ((3, 4, 4), (4, 6, 2), (6, 8, 2), (8, 10, 2))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return maps


@pytest.mark.parametrize("name", ALL)
def test_another_backbone(name: str) -> None:
    kind, config = ALL[name]
    model = kind(config, backbone=Ladder()).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 96)).shape == (1, 4, 64, 96)
    assert model.num_classes == 4
    with pytest.raises(ValueError, match="Ladder has no set_grad_checkpointing"):
        model.set_grad_checkpointing()


@pytest.mark.parametrize("name", ALL)
def test_odd_sizes(name: str) -> None:
    model = build(name).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 57, 91)).shape == (1, 4, 57, 91)


@pytest.mark.parametrize("name", ALL)
def test_bad_input_is_named(name: str) -> None:
    model, (images, labels) = build(name), two_pictures()
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 3, H, W\), got \(2, 1, 64, 64\)"):
        model(images[:, :1])
    for bad, message in (
        (labels[:, :32], r"expected integer labels of shape \(2, 64, 64\), got torch.int64 of \(2, 32, 64\)"),
        (labels.float(), "got torch.float32"),
        (labels + 4, "label 4 is no class: classes are 0 to 3, 255 is ignored"),
        (labels - 1, "label -1 is no class"),
    ):
        with pytest.raises(ValueError, match=message):
            model(images, bad)
