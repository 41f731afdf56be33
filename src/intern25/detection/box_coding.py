# SPDX-License-Identifier: MIT
"""How a box is written as four numbers relative to another: shift over its size, logarithm of the growth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from intern25.layers.boxes import clip_boxes, cxcywh_to_xyxy, xyxy_to_cxcywh

MAX_LOG_GROWTH = abs(math.log(16 / 1000))
"""Largest logarithm of a growth that decoding accepts, so that the exponential stays finite."""


def full_precision(x: Tensor) -> Tensor:
    """Half types to float32, for coordinates and scores; float32 and float64 stay."""
    return x if x.dtype == torch.float64 else x.float()


@dataclass(frozen=True, slots=True)
class BoxCoder:
    r"""Codes of boxes relative to reference boxes (anchors, proposals).

    $$ \left( \frac{x - x_r}{w_r}, \frac{y - y_r}{h_r},
        \log\frac{w}{w_r}, \log\frac{h}{h_r} \right) / \sigma $$

    with (x, y) the centres.

    Args:
        deviations: The four sigmas.

    Example:
        >>> coder = BoxCoder()
        >>> reference = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
        >>> coder.encode(reference, torch.tensor([[5.0, 0.0, 15.0, 10.0]]))
        tensor([[0.5000, 0.0000, 0.0000, 0.0000]])

    Source:
        R-CNN, arXiv:1311.2524, appendix C.
    """

    deviations: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Sigma of centre x, centre y, width and height."""

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """Codes ``(..., 4)`` of ``boxes`` relative to ``references``, both left, top, right, bottom."""
        reference, box = xyxy_to_cxcywh(references), xyxy_to_cxcywh(boxes)
        shift = (box[..., :2] - reference[..., :2]) / reference[..., 2:]
        growth = torch.log(box[..., 2:] / reference[..., 2:])
        return torch.cat((shift, growth), dim=-1) / shift.new_tensor(self.deviations)

    def decode(self, references: Tensor, codes: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Boxes of ``codes``; the inverse of :meth:`encode`.

        Args:
            references: ``(..., 4)``, left, top, right, bottom; broadcasts against ``codes``.
            codes: ``(..., 4)``.
            size: Height and width of the picture to clip to, None for no clipping.

        Returns:
            ``(..., 4)``, left, top, right, bottom.
        """
        codes = codes * codes.new_tensor(self.deviations)
        reference = xyxy_to_cxcywh(references)
        centre = reference[..., :2] + reference[..., 2:] * codes[..., :2]
        growth = codes[..., 2:].clamp(min=-MAX_LOG_GROWTH, max=MAX_LOG_GROWTH)
        boxes = cxcywh_to_xyxy(torch.cat((centre, reference[..., 2:] * growth.exp()), dim=-1))
        return boxes if size is None else clip_boxes(boxes, size)
