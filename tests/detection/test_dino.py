# SPDX-License-Identifier: MIT
"""DINO as a model: what it learns, what it refuses, what padding and extra queries must not change."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.backbones.internimage import InternImageConfig
from intern25.detection.composite import CompositeInternImage
from intern25.detection.dino import DINO, output_losses
from intern25.detection.dino_config import CB_DINO_H, DINO_G, DINO_NANO, DINOConfig
from intern25.detection.dino_criterion import Objects
from intern25.detection.dino_neck import ChannelMapper
from intern25.detection.targets import DetectionTarget
from intern25.layers.boxes import iou_matrix
from intern25.layers.denoising import denoising_queries

TINY = DINOConfig(
    backbone=InternImageConfig(channels=16, depths=(1, 1, 1, 1), groups=(1, 2, 4, 8)),
    num_classes=3,
    channels=64,
    heads=4,
    levels=3,
    points=2,
    encoder_layers=1,
    decoder_layers=2,
    feedforward=64,
    num_queries=20,
    num_denoising=10,
    max_detections=10,
)
BOXES = (
    torch.tensor([[8.0, 8.0, 40.0, 32.0]]),
    torch.tensor([[4.0, 30.0, 28.0, 60.0], [36.0, 10.0, 60.0, 50.0]]),
)
LABELS = (torch.tensor([2]), torch.tensor([0, 1]))


def two_pictures() -> tuple[Tensor, list[DetectionTarget]]:
    """Rectangles on grey, the channel of a rectangle is its class."""
    images = torch.zeros(2, 3, 64, 64)
    for image, boxes, labels in zip(images, BOXES, LABELS, strict=True):
        for box, label in zip(boxes.int().tolist(), labels.tolist(), strict=True):
            image[label, box[1] : box[3], box[0] : box[2]] = 2.0
    return images, [DetectionTarget(boxes=b, labels=c) for b, c in zip(BOXES, LABELS, strict=True)]


def shaken(model: nn.Module) -> nn.Module:
    """Small random values everywhere, so that nothing is hidden by a zero at initialisation."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def test_two_pictures_are_learnt() -> None:
    images, targets = two_pictures()
    model = DINO(TINY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    first = last = 0.0
    for step in range(80):
        losses = model(images, targets=targets)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1 if step > 20 else 1.0)
        optimizer.step()
        first, last = (total.item(), total.item()) if step == 0 else (first, total.item())
    assert last < first / 3
    for found, target in zip(model.eval()(images), targets, strict=True):
        for box, label in zip(target.boxes, target.labels.tolist(), strict=True):
            # Classes differ within a picture: the best detection of a class must be its one object.
            best = torch.from_numpy(found.boxes[found.labels == label][:1])
            assert iou_matrix(best, box[None]).item() > 0.6


@pytest.mark.parametrize("composite", [False, True])
def test_losses_and_gradients(composite: bool) -> None:
    images, targets = two_pictures()
    model = shaken(DINO(replace(TINY, composite=composite)))
    losses = model(images, targets=targets)
    layer = {
        f"{part}{name}" for part in ("", "denoising.") for name in ("loss_class", "loss_box", "loss_giou")
    }
    branch = layer | {f"decoder0.{name}" for name in layer} | {f"encoder.{n}" for n in layer if "." not in n}
    expected = branch | {f"assisting.{name}" for name in branch} if composite else branch
    assert set(losses) == expected
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_assisting_branch_counts_half() -> None:
    images, targets = two_pictures()
    model = shaken(DINO(replace(TINY, composite=True))).eval()
    sizes = [(64, 64)] * 2
    noise = denoising_of(targets, seed=0)
    losses = model.compute_losses(images, sizes, targets, denoising=noise)
    with torch.no_grad():
        maps = model.backbone.forward_branches(images)[0]
        objects = [Objects.of(target, (64, 64), images) for target in targets]
        output = model.transform(maps, torch.zeros(2, 64, 64, dtype=torch.bool), noise)
    for name, loss in output_losses(output, objects, noise).items():
        assert losses[f"assisting.{name}"].item() == pytest.approx(0.5 * loss.item(), rel=1e-4)


def denoising_of(targets: list[DetectionTarget], seed: int):
    return denoising_queries(
        [Objects.of(target, (64, 64), torch.empty(0)).boxes for target in targets],
        [target.labels for target in targets],
        num_classes=3,
        num_denoising=10,
        label_noise=0.5,
        box_noise=1.0,
        generator=torch.Generator().manual_seed(seed),
    )


def test_pictures_without_objects() -> None:
    images, targets = two_pictures()
    nothing = DetectionTarget(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    for batch in ([nothing, targets[1]], [nothing, nothing]):
        model = shaken(DINO(TINY))
        losses = model(images, targets=batch)
        assert all(loss.isfinite() for loss in losses.values())
        sum(losses.values()).backward()
        # Every parameter takes part, so that processes with and without objects agree on the gradients.
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_losses_follow_the_generator_and_the_global_seed() -> None:
    images, targets = two_pictures()
    model = shaken(DINO(TINY)).eval()

    def total(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        losses = model.compute_losses(images, [(64, 64)] * 2, targets, generator=generator)
        return sum(losses.values()).item()

    assert total(1) == total(1)
    assert total(1) != total(2)
    torch.manual_seed(5)
    first = model(images, targets=targets)
    torch.manual_seed(5)
    second = model(images, targets=targets)
    assert all(torch.equal(first[name], second[name]) for name in first)


@torch.no_grad()
def test_denoising_queries_do_not_reach_the_object_queries() -> None:
    images, targets = two_pictures()
    model = shaken(DINO(TINY)).double().eval()
    images = images.double()
    maps, mask = model.backbone(images), torch.zeros(2, 64, 64, dtype=torch.bool)
    noise = denoising_of(targets, seed=0)
    plain, noisy = model.transform(maps, mask), model.transform(maps, mask, noise)
    torch.testing.assert_close(noisy.logits[:, :, noise.count :], plain.logits)
    torch.testing.assert_close(noisy.boxes[:, :, noise.count :], plain.boxes)


def padded_to_twice(maps: list[Tensor], value: float) -> list[Tensor]:
    return [nn.functional.pad(x, (0, x.shape[3], 0, x.shape[2]), value=value) for x in maps]


@torch.no_grad()
def test_padding_does_not_change_memory_and_selection() -> None:
    # Behind the neck: its convolutions and norms see the padding, as in the official code.
    model = shaken(DINO(TINY)).double().eval()
    model.neck = nn.Identity()
    maps = [torch.randn(1, 64, *size, dtype=torch.float64) for size in ((8, 10), (4, 5), (2, 3))]
    mask = torch.ones(1, 32, 40, dtype=torch.bool)
    mask[:, :16, :20] = False
    bare = model.transform(maps, torch.zeros(1, 16, 20, dtype=torch.bool))
    padded = model.transform(padded_to_twice(maps, 1e3), mask)
    valid = torch.cat(
        [x[0, 0].flatten() for x in padded_to_twice([torch.ones_like(x) for x in maps], 0.0)]
    ).bool()
    torch.testing.assert_close(padded.memory[:, valid], bare.memory)
    torch.testing.assert_close(padded.selection.logits, bare.selection.logits)
    torch.testing.assert_close(padded.selection.references, bare.selection.references)
    # The decoder's positions count in shares of the padded map: there only the content is irrelevant.
    other = model.transform(padded_to_twice(maps, -7.0), mask)
    torch.testing.assert_close(other.logits, padded.logits)
    torch.testing.assert_close(other.boxes, padded.boxes)


@torch.no_grad()
def test_boxes_come_in_original_pixels_inside_the_picture() -> None:
    model = shaken(DINO(TINY)).eval()
    images = torch.randn(2, 3, 64, 96)
    sizes, originals = [(64, 90), (50, 96)], [(128, 360), (25, 48)]
    inside = model(images, image_sizes=sizes)
    for found, result, size, original in zip(
        inside, model(images, image_sizes=sizes, original_sizes=originals), sizes, originals, strict=True
    ):
        assert found.size == size
        assert result.size == original
        scale = [original[1] / size[1], original[0] / size[0]] * 2
        assert result.boxes == pytest.approx(found.boxes * scale, rel=1e-5)
        assert (result.boxes >= 0).all()
        assert (result.boxes[:, 2] <= original[1] * (1 + 1e-6)).all()
        assert (result.scores[:-1] >= result.scores[1:]).all()
        assert len(result.scores) == 10
        assert result.boxes.shape == (10, 4)
    assert model.config.score_threshold == 0
    model.config = replace(model.config, score_threshold=float(inside[0].scores[4]))
    assert len(model(images, image_sizes=sizes)[0].scores) == 5


@torch.no_grad()
def test_a_picture_with_fewer_cells_than_queries() -> None:
    model = shaken(DINO(replace(TINY, num_queries=900))).eval()
    output = model.predict(torch.randn(1, 3, 40, 56))
    cells = 5 * 7 + 3 * 4 + 2 * 2
    assert output.logits.shape == (2, 1, cells, 3)
    assert output.boxes.isfinite().all()


def test_a_loss_reaches_one_layer_back_through_the_boxes() -> None:
    """Look forward twice: the boxes of a layer train the layer before, but no layer further back."""
    images, _ = two_pictures()
    model = shaken(DINO(replace(TINY, decoder_layers=3)))
    output = model.predict(images)
    heads = [head.layers[-1].bias for head in model.decoder.box_heads]
    gradients = torch.autograd.grad(output.boxes[2].sum(), heads, allow_unused=True)
    assert gradients[0] is None or (gradients[0] == 0).all()
    assert (gradients[1] != 0).any()
    assert (gradients[2] != 0).any()


class Pyramid(nn.Module):
    """Another backbone: pooled pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, width, 1) for width in (8, 12))
        self.feature_info = FeatureInfo((8, 12), (8, 16), (0, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [
            conv(nn.functional.avg_pool2d(x, stride))
            for conv, stride in zip(self.convs, (8, 16), strict=True)
        ]


def test_another_backbone() -> None:
    model = DINO(TINY, backbone=Pyramid())
    images, targets = two_pictures()
    assert isinstance(model.backbone, Pyramid)
    sum(model(images, targets=targets).values()).backward()
    assert model.neck.extra_convs[0].conv.weight.shape == (64, 12, 3, 3)
    assert len(model.eval()(images)) == 2


def test_a_neck_with_too_few_levels() -> None:
    with pytest.raises(ValueError, match="3 maps but the neck has 2 levels"):
        ChannelMapper([8, 16, 32], 64, 2)


def test_gradient_checkpointing_changes_nothing() -> None:
    images, targets = two_pictures()
    model = shaken(DINO(TINY)).eval()
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        losses = model.compute_losses(images, [(64, 64)] * 2, targets, denoising=denoising_of(targets, 0))
        sum(losses.values()).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    # Recomputed sums may be ordered otherwise.
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_bfloat16_keeps_coordinates_in_float32() -> None:
    model = shaken(DINO(TINY)).eval()
    images, _ = two_pictures()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model.predict(images)
    assert output.boxes.dtype == output.references.dtype == torch.float32
    found = model.to(torch.bfloat16)(images.to(torch.bfloat16))
    assert len(found) == 2


def test_the_federated_loss_leaves_out_absent_classes() -> None:
    images, targets = two_pictures()
    config = replace(TINY, num_classes=40, federated_classes=5)
    model = shaken(DINO(config)).eval()
    model.set_class_frequencies([1] * 3 + [0] * 35 + [9, 9])
    sizes = [(64, 64)] * 2
    losses = model.compute_losses(images, sizes, targets, generator=torch.Generator().manual_seed(0))
    gradient = torch.autograd.grad(losses["encoder.loss_class"], model.query_selection.class_head.bias)[0]
    # Classes 0, 1 and 2 are present; 38 and 39 are the only others that occur at all.
    assert gradient.nonzero().flatten().tolist() == [0, 1, 2, 38, 39]
    with pytest.raises(ValueError, match="3 counts for 40 classes"):
        model.set_class_frequencies([1, 2, 3])


@torch.no_grad()
def test_the_lead_starts_without_the_assisting_backbone() -> None:
    model = CompositeInternImage(TINY.backbone).eval()
    x = torch.randn(1, 3, 64, 64)
    start = model.assisting.stem(x)
    lead = model.lead
    lead.stem = nn.Identity()
    maps = []
    tokens = start
    for index, stage in enumerate(lead.stages):
        tokens = stage(tokens)
        maps.append(tokens.permute(0, 3, 1, 2))
        tokens = lead.downsamples[index](tokens) if index < 3 else tokens
    for actual, expected in zip(model(x), maps[1:], strict=True):
        torch.testing.assert_close(actual, expected)
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        model(torch.zeros(1, 4, 64, 64))


def test_bad_calls_are_named() -> None:
    images, targets = two_pictures()
    model = DINO(TINY)
    with pytest.raises(ValueError, match="in training mode give targets"):
        model(images)
    with pytest.raises(ValueError, match="1 targets for 2 images"):
        model(images, targets=targets[:1])
    wrong = DetectionTarget(boxes=BOXES[0], labels=torch.tensor([3]))
    with pytest.raises(ValueError, match="picture 0 has the label 3, but the model has 3 classes"):
        model(images, targets=[wrong, targets[1]])
    with pytest.raises(ValueError, match="image_sizes has 1 entries for 2 images"):
        model(images, image_sizes=[(64, 64)], targets=targets)
    with pytest.raises(ValueError, match=r"image_sizes has \(65, 64\)"):
        model(images, image_sizes=[(65, 64)] * 2, targets=targets)
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        model(torch.zeros(3, 64, 64), targets=targets)


def test_predictions_that_are_not_finite_are_named() -> None:
    images, targets = two_pictures()
    model = DINO(TINY)
    with torch.no_grad():
        model.decoder.class_heads[0].bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        model(images, targets=targets)


def test_bad_configs_are_named() -> None:
    with pytest.raises(ValueError, match="channels=48"):
        replace(TINY, channels=48)
    with pytest.raises(ValueError, match="num_queries=0"):
        replace(TINY, num_queries=0)
    with pytest.raises(ValueError, match="federated_classes=0"):
        replace(TINY, federated_classes=0)


@pytest.mark.parametrize("config", [DINO_NANO, DINO_G, CB_DINO_H])
def test_configs_survive_json(config: DINOConfig) -> None:
    assert DINOConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_nano_is_small() -> None:
    with torch.device("meta"):
        model = DINO(DINO_NANO)
    assert 7e6 < sum(parameter.numel() for parameter in model.parameters()) < 1e7
