# SPDX-License-Identifier: MIT
"""Places in one system of coordinates, masks pooled, and what gradients reach."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.generalist.places import PlaceEncoding, cell_boxes, in_longer_sides
from intern25.generalist.region_tokens import RegionTokens, pool_masks
from tests.generalist.proposal_samples import random_maps, small_network


def test_a_square_stays_a_square() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.25, 0.5]])  # 80x80 pixels in 160x320
    assert in_longer_sides(boxes, (160, 320)).tolist() == [[0.5, 0.25, 0.25, 0.25]]


def test_encoding_does_not_see_the_picture_around_the_box() -> None:
    """The same pixels at the left top of a wide and of a square picture."""
    encoding = PlaceEncoding(16).double()
    wide = torch.tensor([[0.25, 0.5, 0.125, 0.5]], dtype=torch.float64)
    square = torch.tensor([[0.25, 0.25, 0.125, 0.25]], dtype=torch.float64)
    torch.testing.assert_close(encoding(wide, (80, 160)), encoding(square, (160, 160)))
    assert not torch.allclose(encoding(wide, (80, 160)), encoding(wide, (160, 160)))


def test_encoding_by_loops() -> None:
    encoding = PlaceEncoding(5, channels=4).double()
    box, size = [0.3, 0.8, 0.2, 0.1], (60, 90)
    x, y, w, h = box[0], box[1] * 60 / 90, box[2], box[3] * 60 / 90
    waves = []
    for value in (y, x, w, h):  # the order of the sine embedding
        for i in range(2):
            angle = 2 * math.pi * 8 * value / 32 ** (2 * i / 4)
            waves += [math.sin(angle), math.cos(angle)]
    expected = encoding.linear(torch.tensor(waves, dtype=torch.float64))
    found = encoding(torch.tensor(box, dtype=torch.float64), size)
    torch.testing.assert_close(found, expected)


def test_cells_are_boxes() -> None:
    cells = cell_boxes((2, 4), torch.zeros(0, dtype=torch.float64))
    assert cells[5].tolist() == [0.375, 0.75, 0.25, 0.5]
    units = in_longer_sides(cells, (2, 4))
    assert (units[:, 2] == 0.25).all()
    assert (units[:, 3] == 0.25).all()


@pytest.mark.parametrize("size", [(56, 84), (24, 40), (33, 17)])
def test_pooled_masks_by_loops(size: tuple[int, int]) -> None:
    masks = torch.randn(1, 1, *size, dtype=torch.float64)
    pooled = pool_masks(masks)[0, 0].view(28, 28)
    height, width = size
    for i in range(28):
        for j in range(28):
            rows = range(i * height // 28, -(-(i + 1) * height // 28))
            columns = range(j * width // 28, -(-(j + 1) * width // 28))
            values = [1 / (1 + math.exp(-masks[0, 0, y, x].item())) for y in rows for x in columns]
            assert pooled[i, j].item() == pytest.approx(sum(values) / len(values))


def test_token_is_the_sum_of_its_parts() -> None:
    with torch.no_grad():
        proposals = small_network().double().eval()(random_maps(2, dtype=torch.float64))
        tokens = RegionTokens(32, 24).double()
        indices = torch.tensor([[4, 1], [0, 9]])
        found = tokens(proposals, indices)
        torch.testing.assert_close(tokens(proposals)[1, 9], found[1, 1])
        for n in range(2):
            for place, query in enumerate(indices[n].tolist()):
                mask = pool_masks(proposals.mask_logits()[n : n + 1])[0, query]
                expected = (
                    tokens.semantic(proposals.semantic[n, query])
                    + tokens.box(proposals.boxes[n, query], (64, 96))
                    + tokens.mask(mask)
                )
                torch.testing.assert_close(found[n, place], expected)


def test_names_bend_no_box_and_no_mask() -> None:
    network, tokens = small_network().train(), RegionTokens(32, 24)
    proposals = network(random_maps(1))
    tokens(proposals).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokens.parameters())
    silent = {name.split(".")[0] for name, p in network.dense.named_parameters() if p.grad is not None}
    assert silent == set()
    assert all(p.grad is None for p in network.decoder.mask_embedding.parameters())
    assert network.content_projection.weight.grad is not None  # through q_sem
