# SPDX-License-Identifier: MIT
"""Sine embeddings against loops."""

from __future__ import annotations

import math

import pytest
import torch

from intern25.layers.sine_embedding import sine_box_embedding, sine_position_embedding


def sine_by_loops(angle: float, channels: int, temperature: float) -> list[float]:
    values = []
    for channel in range(channels):
        x = angle / temperature ** (2 * (channel // 2) / channels)
        values.append(math.sin(x) if channel % 2 == 0 else math.cos(x))
    return values


@pytest.mark.parametrize("temperature", [20.0, 10000.0])
def test_cells(temperature: float) -> None:
    mask = torch.zeros(2, 3, 5, dtype=torch.bool)
    mask[1, 2:] = True
    mask[1, :, 3:] = True
    found = sine_position_embedding(mask, 6, temperature=temperature, dtype=torch.float64)
    assert found.shape == (2, 12, 3, 5)
    for picture, (rows, columns) in enumerate(((3, 5), (2, 3))):
        for row in range(rows):
            for column in range(columns):
                y = 2 * math.pi * (row + 1) / (rows + 1e-6)
                x = 2 * math.pi * (column + 1) / (columns + 1e-6)
                expected = sine_by_loops(y, 6, temperature) + sine_by_loops(x, 6, temperature)
                assert found[picture, :, row, column].tolist() == pytest.approx(expected, abs=1e-12)


def test_boxes_come_as_y_x_width_height() -> None:
    box = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    found = sine_box_embedding(box, 8)
    expected = [
        value for angle in (0.2, 0.1, 0.3, 0.4) for value in sine_by_loops(2 * math.pi * angle, 8, 1e4)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    torch.testing.assert_close(sine_box_embedding(box[:2], 8), found[:16])


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="even"):
        sine_position_embedding(torch.zeros(1, 2, 2, dtype=torch.bool), 5)
    with pytest.raises(ValueError, match=r"\(\.\.\., 4\) boxes"):
        sine_box_embedding(torch.zeros(2, 3))
