# SPDX-License-Identifier: MIT
"""Anchors, box codes, pyramid and configuration of the R-CNN detectors."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.detection.anchors import base_anchors, grid_anchors, inside_anchors, valid_anchors
from intern25.detection.box_coding import BoxCoder
from intern25.detection.fpn import FPN
from intern25.detection.rcnn_config import (
    CASCADE_L,
    CASCADE_XL_CROWDHUMAN,
    MASK_RCNN_NANO,
    MASK_RCNN_T,
    CascadeMaskRCNNConfig,
    MaskRCNNConfig,
)
from intern25.detection.targets import DetectionTarget

coordinates = st.floats(-50, 50)
sides = st.floats(0.5, 60)
box_lists = st.lists(st.tuples(coordinates, coordinates, sides, sides), min_size=1, max_size=8)


def boxes_of(rows: list[tuple[float, float, float, float]]) -> torch.Tensor:
    x, y, width, height = torch.tensor(rows, dtype=torch.float64).unbind(dim=1)
    return torch.stack((x, y, x + width, y + height), dim=1)


def test_anchors_have_the_area_of_their_scale_and_the_shape_of_their_ratio() -> None:
    for scale, boxes in zip(
        (4.0, 8.0), base_anchors(8, (4.0, 8.0), (0.5, 2.0)).view(2, 2, 4).unbind(1), strict=True
    ):
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        torch.testing.assert_close(width * height, torch.full((2,), (8 * scale) ** 2))
        torch.testing.assert_close(height / width, torch.tensor([0.5, 2.0]))
        torch.testing.assert_close(boxes[:, :2], -boxes[:, 2:])


def test_anchors_follow_rows_then_columns_then_shapes() -> None:
    base = torch.tensor([[-1.0, -1.0, 1.0, 1.0], [-2.0, -1.0, 2.0, 1.0]])
    anchors = grid_anchors(base, (2, 3), stride=4)
    assert anchors.shape == (12, 4)
    assert anchors[0].tolist() == [-1, -1, 1, 1]
    assert anchors[3].tolist() == [2, -1, 6, 1]
    assert anchors[2 * 3 * 1].tolist() == [-1, 3, 1, 5]


def test_anchors_on_the_padding_of_a_larger_neighbour_are_not_valid() -> None:
    # 40 x 70 pads to 64 x 96 by itself: 4 x 6 cells of stride 16, wherever the batch ends.
    device = torch.device("cpu")
    alone = valid_anchors((4, 6), 16, 3, (40, 70), device=device)
    assert alone.all()
    in_batch = valid_anchors((8, 9), 16, 3, (40, 70), device=device).view(8, 9, 3)
    assert in_batch[:4, :6].all()
    assert in_batch.sum() == alone.sum()


def test_anchors_may_leave_the_picture_by_the_border() -> None:
    anchors = torch.tensor([[0.0, 0, 9, 9], [-3.0, 0, 5, 5], [0.0, 0, 10, 5]])
    assert inside_anchors(anchors, (10, 10), 0).tolist() == [True, False, False]
    assert inside_anchors(anchors, (10, 10), 3).tolist() == [True, True, True]
    assert inside_anchors(anchors, (10, 10), None).all()


@settings(deadline=None, max_examples=50)
@given(box_lists, st.tuples(*[st.floats(0.03, 1.0)] * 4))
def test_decoding_is_the_inverse_of_encoding(
    rows: list[tuple[float, float, float, float]], deviations: tuple[float, float, float, float]
) -> None:
    boxes = boxes_of(rows)
    references = boxes.flip(0)
    coder = BoxCoder(deviations)
    growth = ((boxes[:, 2:] - boxes[:, :2]) / (references[:, 2:] - references[:, :2])).log().abs()
    decoded = coder.decode(references, coder.encode(references, boxes))
    reachable = (growth < math.log(1000 / 16)).all(dim=1)
    torch.testing.assert_close(decoded[reachable], boxes[reachable])


def test_decoding_stops_growth_and_clips() -> None:
    coder = BoxCoder()
    reference = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    decoded = coder.decode(reference, torch.tensor([[0.0, 0.0, 100.0, 0.0]]))
    torch.testing.assert_close(decoded[0, 2] - decoded[0, 0], torch.tensor(10 * 1000 / 16))
    clipped = coder.decode(reference, torch.tensor([[0.0, 0.0, 100.0, 0.0]]), size=(8, 20))
    assert clipped.tolist() == [[0.0, 0.0, 20.0, 8.0]]


def test_pyramid_adds_what_the_coarser_level_saw() -> None:
    pyramid = FPN([2, 3], channels=4).double()
    # An odd size: the coarser map is not exactly half of the finer one.
    fine, coarse = torch.randn(1, 2, 7, 9).double(), torch.randn(1, 3, 4, 5).double()
    top = F.conv2d(coarse, pyramid.laterals[1].weight, pyramid.laterals[1].bias)
    rows, columns = torch.arange(7) * 4 // 7, torch.arange(9) * 5 // 9
    bottom = (
        F.conv2d(fine, pyramid.laterals[0].weight, pyramid.laterals[0].bias) + top[:, :, rows][..., columns]
    )
    levels = pyramid([fine, coarse])
    expected = F.conv2d(bottom, pyramid.outputs[0].weight, pyramid.outputs[0].bias, padding=1)
    torch.testing.assert_close(levels[0], expected)
    torch.testing.assert_close(levels[2], F.max_pool2d(levels[1], 1, stride=2))


def test_pyramid_names_a_wrong_number_of_maps() -> None:
    with pytest.raises(ValueError, match="takes 2 maps, got 1"):
        FPN([2, 3], channels=4)([torch.zeros(1, 2, 4, 4)])


@pytest.mark.parametrize("config", [MASK_RCNN_T, MASK_RCNN_NANO, CASCADE_L, CASCADE_XL_CROWDHUMAN])
def test_configs_survive_json(config: MaskRCNNConfig | CascadeMaskRCNNConfig) -> None:
    saved = json.loads(json.dumps(dataclasses.asdict(config)))
    assert type(config)(**saved) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 0}, "num_classes=0"),
        ({"stage_ious": (0.5, 0.6)}, "one value for each stage"),
        ({"box_loss": "l2"}, "'l2'"),
        ({"box_head_fcs": 0}, "box_head_fcs=0"),
    ],
)
def test_configs_name_the_wrong_value(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MASK_RCNN_T, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"boxes": torch.zeros(2, 3)}, "boxes must be"),
        ({"boxes": torch.zeros(2, 4).long()}, "boxes must be a floating-point"),
        ({"labels": torch.zeros(1).long()}, "labels must be"),
        ({"labels": torch.zeros(2)}, "labels must be int64"),
        ({"masks": torch.zeros(1, 8, 8)}, "masks must be"),
        ({"ignored": torch.zeros(4)}, "ignored must be"),
    ],
)
def test_targets_name_the_wrong_tensor(values: dict[str, torch.Tensor], message: str) -> None:
    good = {"boxes": torch.zeros(2, 4), "labels": torch.zeros(2).long()}
    with pytest.raises(ValueError, match=message):
        DetectionTarget(**{**good, **values})


def test_targets_move_with_all_their_tensors() -> None:
    target = DetectionTarget(
        boxes=torch.zeros(1, 4),
        labels=torch.zeros(1).long(),
        masks=torch.zeros(1, 4, 4, dtype=torch.bool),
        ignored=torch.zeros(1, 4),
    ).to("meta")
    assert {t.device.type for t in (target.boxes, target.labels, target.masks, target.ignored)} == {"meta"}
    assert len(target) == 1
