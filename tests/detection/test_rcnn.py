# SPDX-License-Identifier: MIT
"""Both detectors as a user meets them: they learn, detect, take odd pictures, and name wrong arguments."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.detection import roi_training
from intern25.detection.cascade import CascadeMaskRCNN
from intern25.detection.mask_rcnn import MaskRCNN
from intern25.detection.rcnn_config import MaskRCNNConfig, RCNNConfig
from intern25.detection.roi_training import mask_targets, sample_regions
from intern25.detection.targets import DetectionTarget
from intern25.detection.two_stage import TwoStageDetector
from intern25.layers.boxes import iou
from tests.detection.small_rcnn import (
    SIZE,
    SMALL_CASCADE,
    SMALL_CROWD,
    SMALL_MASK_RCNN,
    rectangle_target,
    two_pictures,
)

CONFIGS = {"mask_rcnn": SMALL_MASK_RCNN, "cascade": SMALL_CASCADE, "crowd": SMALL_CROWD}


def build(config: RCNNConfig) -> TwoStageDetector:
    return MaskRCNN(config) if isinstance(config, MaskRCNNConfig) else CascadeMaskRCNN(config)


def step(model: TwoStageDetector, images: Tensor, targets: list[DetectionTarget]) -> dict[str, Tensor]:
    losses = model(images, targets=targets)
    assert isinstance(losses, dict)
    sum(losses.values()).backward()
    return losses


def test_two_pictures_are_learnt_by_heart() -> None:
    model = MaskRCNN(SMALL_MASK_RCNN)
    images, targets = two_pictures()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        step(model, images, targets)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    for found, target in zip(model.eval()(images), targets, strict=True):
        assert found.masks is not None
        assert target.masks is not None
        for box, label, mask in zip(target.boxes, target.labels, target.masks, strict=True):
            overlaps = iou(torch.from_numpy(found.boxes), box) * torch.from_numpy(found.labels == int(label))
            best = int(overlaps.argmax())
            assert overlaps[best] > 0.7
            assert found.scores[best] > 0.5
            pasted = torch.from_numpy(found.masks[best])
            assert (pasted & mask).sum() / (pasted | mask).sum() > 0.7


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_finite_and_reach_every_parameter(name: str) -> None:
    model = build(CONFIGS[name])
    images, targets = two_pictures()
    if name == "crowd":
        targets = [DetectionTarget(boxes=t.boxes, labels=t.labels * 0) for t in targets]
    losses = step(model, images, targets)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    assert all(
        p.grad.abs().sum() > 0 for n, p in model.named_parameters() if "head" in n and p.grad is not None
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_pictures_without_objects_teach_background(name: str) -> None:
    model = build(CONFIGS[name])
    empty = rectangle_target([], [])
    losses = step(model, torch.randn(2, 3, *SIZE), [empty, empty])
    for key, loss in losses.items():
        background = key.endswith("class")
        assert loss > 0 if background else loss == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_a_picture_that_is_one_crowd_teaches_nothing(name: str) -> None:
    model = build(CONFIGS[name])
    # Larger than the picture, so that the anchors across its border are inside it too.
    crowd = torch.tensor([[-500.0, -500.0, 900.0, 900.0]])
    target = DetectionTarget(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0).long(),
        masks=torch.zeros(0, *SIZE, dtype=torch.bool),
        ignored=crowd,
    )
    losses = step(model, torch.randn(1, 3, *SIZE), [target])
    assert all(loss == 0 for loss in losses.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert all(b.isfinite().all() for b in model.buffers())


def test_objects_in_a_crowd_are_still_learnt() -> None:
    target = rectangle_target([[10, 10, 40, 40]], [1])
    proposals = torch.tensor([[10.0, 10, 40, 38], [60.0, 60, 80, 80], [90.0, 5, 120, 30]])
    crowded = DetectionTarget(
        boxes=target.boxes,
        labels=target.labels,
        masks=target.masks,
        ignored=torch.tensor([[0.0, 0, 85, 96]]),
    )
    plain = sample_regions(proposals, target, SMALL_MASK_RCNN)
    chosen = sample_regions(proposals, crowded, SMALL_MASK_RCNN)
    assert plain.labels.tolist() == [1, 1, 3, 3]
    assert chosen.labels.tolist() == [1, 1, 3]
    assert chosen.boxes[2].tolist() == [90, 5, 120, 30]
    assert chosen.are_objects.tolist() == [True, False, False]


def test_mask_targets_are_the_object_seen_in_its_region() -> None:
    target = rectangle_target([[10, 10, 50, 50]], [0])
    # The right half of the region is the object.
    chosen = sample_regions(
        torch.tensor([[-10.0, 10, 50, 50]]), target, replace(SMALL_MASK_RCNN, stage_ious=(0.5,))
    )
    own, shifted = mask_targets(chosen, target, 4)
    assert own.all()
    # Clipped to the picture the region starts at 0: one cell of 12.5 pixels is mostly outside the object.
    assert shifted.tolist() == [[False, True, True, True]] * 4


def test_masks_of_many_objects_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(7, 2, generator=generator) * torch.tensor([80.0, 50.0])
    boxes = torch.cat((low, low + 8 + torch.rand(7, 2, generator=generator) * 30), dim=1)
    target = DetectionTarget(
        boxes=boxes,
        labels=torch.zeros(7, dtype=torch.int64),
        masks=torch.rand(7, *SIZE, generator=generator) > 0.5,
    )
    chosen = sample_regions(boxes.flip(0) + 1, target, replace(SMALL_MASK_RCNN, box_positive_fraction=1.0))
    expected = mask_targets(chosen, target, 14)
    assert expected.float().mean() == pytest.approx(0.5, abs=0.1)
    monkeypatch.setattr(roi_training, "MASKS_AT_ONCE", 3)
    assert torch.equal(mask_targets(chosen, target, 14), expected)


def test_padding_of_the_batch_does_not_change_what_anchors_learn() -> None:
    config = replace(SMALL_MASK_RCNN, rpn_samples=10**6, rpn_positive_fraction=1.0)
    model = MaskRCNN(config).double()
    shapes = [(24 // 2**i, 32 // 2**i) for i in range(4)] + [(2, 2)]
    outputs = [
        (torch.randn(1, 3, *s, dtype=torch.float64), torch.randn(1, 12, *s, dtype=torch.float64))
        for s in shapes
    ]
    padded = [tuple(F.pad(m, (0, 5, 0, 3), value=7.0) for m in level) for level in outputs]
    target = [rectangle_target([[12, 20, 60, 70]], [0])]
    losses = model.rpn.losses(outputs, [(90, 120)], target)
    in_batch = model.rpn.losses(padded, [(90, 120)], target)
    for name, loss in losses.items():
        assert loss > 0
        torch.testing.assert_close(in_batch[name], loss)


@pytest.mark.parametrize("name", CONFIGS)
def test_detections_are_in_original_pixels_and_inside_the_picture(name: str) -> None:
    torch.manual_seed(1)
    model = build(replace(CONFIGS[name], score_threshold=0.0, max_detections=20)).eval()
    images, sizes, originals = torch.randn(2, 3, *SIZE), [(90, 120), (96, 64)], [(180, 480), (48, 32)]
    batch = model(images, image_sizes=sizes, original_sizes=originals)
    in_input = model(images, image_sizes=sizes)
    for found, plain, size, original in zip(batch, in_input, sizes, originals, strict=True):
        assert len(found) == 20
        assert found.size == original
        assert plain.size == size
        assert (found.masks is None) == (name == "crowd")
        height, width = original
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width + 1e-3, height + 1e-3, width + 1e-3, height + 1e-3]).all()
        assert (found.scores[:-1] >= found.scores[1:]).all()
        assert (found.labels < model.num_classes).all()
    assert model(images[:, :, :, :64], original_sizes=originals)[0].size == (180, 480)


def test_pictures_of_a_batch_do_not_mix() -> None:
    model = CascadeMaskRCNN(replace(SMALL_CASCADE, score_threshold=0.0, max_detections=10)).eval().double()
    images = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    sizes = [(96, 100), (70, 128)]
    for index, found in enumerate(model(images, image_sizes=sizes)):
        (alone,) = model(images[index, None], image_sizes=[sizes[index]])
        assert alone.labels.tolist() == found.labels.tolist()
        torch.testing.assert_close(torch.from_numpy(alone.boxes), torch.from_numpy(found.boxes))
        assert (alone.masks == found.masks).all()


def test_cascade_stages_share_nothing_but_features() -> None:
    model = CascadeMaskRCNN(SMALL_CASCADE)
    assert [head.coder.deviations[0] for head in model.box_head] == [0.1, 0.05, 0.033]
    images, targets = two_pictures()
    losses = model.eval()(images, targets=targets)
    assert {name.split(".")[0] for name in losses} == {
        "loss_rpn_class",
        "loss_rpn_box",
        "stage0",
        "stage1",
        "stage2",
    }


class TwoMaps(nn.Module):
    """A backbone of somebody else: two maps of strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 8, stride=8), nn.Conv2d(8, 12, 2, stride=2)
        self.feature_info = FeatureInfo((8, 12), (8, 16), (0, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.first(x)
        return [first, self.second(first)]


def test_any_backbone_with_feature_info_works() -> None:
    model = MaskRCNN(SMALL_MASK_RCNN, backbone=TwoMaps())
    assert model.rpn.strides == (8, 16, 32)
    images, targets = two_pictures()
    step(model, images, targets)
    assert len(model.eval()(images)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_sizes": [(96, 128)]}, "got 1 image_sizes for 2 images"),
        ({"image_sizes": [(96, 128), (97, 128)]}, "exceed the images"),
        ({"image_sizes": [(96, 0), (96, 128)]}, "1 pixel or more"),
        ({"original_sizes": [(96, 128)]}, "got 1 original_sizes"),
        ({"targets": []}, "got 0 targets for 2 images"),
        (
            {"targets": [rectangle_target([[1, 1, 9, 9]], [3])] * 2},
            "label 3 is not one of the model's 3 classes",
        ),
        ({"targets": [rectangle_target([[9, 1, 9, 9]], [0])] * 2}, "has no area"),
        (
            {
                "targets": [DetectionTarget(boxes=torch.tensor([[0.0, 0, 5, 5]]), labels=torch.tensor([0]))]
                * 2
            },
            "has boxes but no masks",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    model = MaskRCNN(SMALL_MASK_RCNN).eval()
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(2, 3, *SIZE), **arguments)


def test_training_without_targets_and_pictures_of_a_wrong_shape_are_named() -> None:
    model = MaskRCNN(SMALL_MASK_RCNN)
    with pytest.raises(ValueError, match="in training mode give targets"):
        model(torch.zeros(1, 3, *SIZE))
    with pytest.raises(ValueError, match="expected images of shape"):
        model.eval()(torch.zeros(3, *SIZE))
    with pytest.raises(ValueError, match="use CascadeMaskRCNN"):
        MaskRCNN(SMALL_CASCADE)


def test_half_precision_keeps_coordinates() -> None:
    model = MaskRCNN(replace(SMALL_MASK_RCNN, score_threshold=0.0)).eval()
    images, targets = two_pictures()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (found, _) = model(images)
        losses = model(images, targets=targets)
    boxes = torch.from_numpy(found.boxes)
    assert (boxes != boxes.bfloat16()).any()
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
