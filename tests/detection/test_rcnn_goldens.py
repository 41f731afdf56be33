# SPDX-License-Identifier: MIT
"""Both detectors against outputs of the official code in float64, from the backbone to the masks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from intern25.detection.mask_rcnn import MaskRCNN
from intern25.detection.roi_heads import BoxHead
from intern25.detection.targets import DetectionTarget
from intern25.detection.two_stage import TwoStageDetector
from tests.backbones.golden import sliced
from tests.detection.rcnn_golden import (
    ORIGINAL,
    PADDED,
    VALID,
    golden_input,
    golden_model,
    read_manifest,
    unpack_masks,
)

pytestmark = pytest.mark.shared

MODELS = ["mask_rcnn_t", "cascade_small"]
# Values are stored in float32; maps of later layers lose a little more to it.
BACKBONE_TOLERANCE = {"rtol": 2e-6, "atol": 2e-6}
MAP_TOLERANCE = {"rtol": 5e-6, "atol": 5e-6}
# The proposals that feed the heads are stored in float32.
HEAD_TOLERANCE = 1e-4
BOX_TOLERANCE = 1e-3
SCORE_TOLERANCE = 1e-5
MASK_PIXELS = 1e-4

Run = tuple[TwoStageDetector, dict[str, Any], Any, Tensor]


@pytest.fixture(scope="module", params=MODELS)
def run(request: pytest.FixtureRequest, shared_root: Path) -> Iterator[Run]:
    """Model, manifest, arrays, input."""
    manifest = read_manifest(shared_root, request.param)
    with np.load(shared_root / "goldens" / "det" / f"{request.param}.npz") as arrays:
        yield (
            golden_model(manifest, torch.float64),
            manifest,
            dict(arrays),
            golden_input(request.param, torch.float64),
        )


def check(actual: Tensor, run: Run, name: str, **tolerance: float) -> None:
    _, manifest, arrays, _ = run
    entry = manifest["outputs"][name]
    assert list(actual.shape) == entry["shape"]
    expected = torch.from_numpy(arrays[name]).double()
    torch.testing.assert_close(sliced(actual, entry.get("slice")), expected, **tolerance)


def test_features_and_proposals(run: Run) -> None:
    model, _, arrays, images = run
    with torch.inference_mode():
        features = model.backbone(images)
        pyramid = model.fpn(features)
        outputs = model.rpn(pyramid)
        ((boxes, scores),) = model.rpn.propose(outputs, [VALID])
    for level, feature in enumerate(features):
        check(feature, run, f"backbone{level}", **BACKBONE_TOLERANCE)
    for level, (feature, (logits, codes)) in enumerate(zip(pyramid, outputs, strict=True)):
        check(feature, run, f"fpn{level}", **MAP_TOLERANCE)
        check(logits, run, f"rpn_cls{level}", **MAP_TOLERANCE)
        check(codes, run, f"rpn_reg{level}", **MAP_TOLERANCE)
    expected = torch.from_numpy(arrays["proposals"]).double()
    assert len(boxes) == len(expected) == 1000
    torch.testing.assert_close(boxes, expected[:, :4], rtol=0, atol=BOX_TOLERANCE)
    torch.testing.assert_close(scores, expected[:, 4], rtol=0, atol=SCORE_TOLERANCE)


def test_heads_on_the_stored_proposals(run: Run) -> None:
    model, _, arrays, images = run
    regions = [torch.from_numpy(arrays["proposals"][:100, :4]).double()]
    tolerance = {"rtol": HEAD_TOLERANCE, "atol": HEAD_TOLERANCE}
    single = isinstance(model, MaskRCNN)
    box_heads = [model.box_head] if single else list(model.box_head)
    mask_heads = [model.mask_head] if single else list(model.mask_head)
    with torch.inference_mode():
        pyramid = model.fpn(model.backbone(images))
        box_features = model.region_features(pyramid, regions, 7)
        mask_features = model.region_features(pyramid, regions, 14)
        for stage, (box_head, mask_head) in enumerate(zip(box_heads, mask_heads, strict=True)):
            assert isinstance(box_head, BoxHead)
            suffix = "" if single else str(stage)
            logits, codes = box_head(box_features)
            check(logits, run, f"tf_cls_score{suffix}", **tolerance)
            check(codes.flatten(1), run, f"tf_bbox_pred{suffix}", **tolerance)
            masks = mask_head(mask_features)
            if single:
                check(masks[:20, :8], run, "tf_mask_pred_20_ch0_7", **tolerance)
            else:
                check(masks[:10, :4], run, f"tf_mask_pred{stage}_10_ch0_3", **tolerance)


def test_detections(run: Run) -> None:
    model, _, arrays, images = run
    with torch.inference_mode():
        (found,) = model(images, image_sizes=[VALID], original_sizes=[ORIGINAL])
    expected = arrays["det_bboxes"]
    np.testing.assert_array_equal(found.labels, arrays["det_labels"])
    np.testing.assert_allclose(found.boxes, expected[:, :4], rtol=0, atol=BOX_TOLERANCE)
    np.testing.assert_allclose(found.scores, expected[:, 4], rtol=0, atol=SCORE_TOLERANCE)
    assert found.masks is not None
    wrong = found.masks != unpack_masks(arrays["masks_packed"])
    assert wrong.mean() <= MASK_PIXELS


def test_detections_in_float32_are_the_same_set(shared_root: Path) -> None:
    # Rounding may swap neighbours in the order of scores or decide a near tie of NMS.
    manifest = read_manifest(shared_root, "cascade_small")
    model = golden_model(manifest, torch.float32)
    (found,) = model(golden_input("cascade_small", torch.float32), [VALID], [ORIGINAL])
    with np.load(shared_root / "goldens" / "det" / "cascade_small.npz") as arrays:
        expected, labels = arrays["det_bboxes"], arrays["det_labels"]
    near = np.abs(found.boxes[:, None] - expected[None, :, :4]).max(axis=2) < 0.1
    near &= np.abs(found.scores[:, None] - expected[None, :, 4]) < 1e-3
    near &= found.labels[:, None] == labels[None]
    assert near.any(axis=0).mean() >= 0.98
    assert abs(len(found) - len(expected)) <= 1


def test_losses(shared_root: Path) -> None:
    golden = json.loads((shared_root / "goldens" / "det" / "mask_rcnn_t_loss.json").read_text())
    model = golden_model(read_manifest(shared_root, "mask_rcnn_t"), torch.float64)
    everything = {"rpn_samples": 10**6, "rpn_positive_fraction": 1.0}
    everything |= {"box_samples": 10**6, "box_positive_fraction": 1.0}
    for part in (model, model.rpn):
        part.config = part.config.__class__(**{**_fields(part.config), **everything})
    boxes = torch.tensor(golden["gt_bboxes"], dtype=torch.float64)
    target = DetectionTarget(boxes=boxes, labels=torch.tensor(golden["gt_labels"]), masks=_ellipses(boxes))
    images = golden_input("mask_rcnn_t", torch.float64)
    with torch.no_grad():
        losses = {name: float(loss) for name, loss in model(images, [VALID], targets=[target]).items()}
    expected = golden["losses"]
    wanted = {
        "loss_rpn_class": sum(expected["loss_rpn_cls"]),
        "loss_rpn_box": sum(expected["loss_rpn_bbox"]),
        "loss_class": expected["loss_cls"],
        "loss_box": expected["loss_bbox"],
        "loss_mask": expected["loss_mask"],
    }
    assert losses == pytest.approx(wanted, rel=1e-5)


def _fields(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def _ellipses(boxes: Tensor) -> Tensor:
    y, x = torch.meshgrid(*(torch.arange(side) for side in PADDED), indexing="ij")
    left, top, right, bottom = (edge[:, None, None] for edge in boxes.unbind(dim=1))
    horizontal = (x - (left + right) / 2) / ((right - left) / 2)
    vertical = (y - (top + bottom) / 2) / ((bottom - top) / 2)
    return horizontal**2 + vertical**2 <= 1
