# SPDX-License-Identifier: MIT
"""Features of regions: which level of the pyramid shows a region best, and RoIAlign on that level.

RoIAlign averages bilinear samples on a regular grid of each cell. Grid and bilinear weights are products of
one factor a row and one a column, so that a whole region is two small matrix products,
``rows (S, h) @ map (h, w, C) @ columns (w, S)``. On a CPU that is several times faster than point by point.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

from intern25.detection.box_coding import full_precision

FINEST_SCALE = 56
"""Regions with sides below twice this go to the finest level, in pixels of the input."""


def region_levels(regions: Tensor, levels: int) -> Tensor:
    r"""Level of every region, :math:`\lfloor \log_2(\sqrt{wh} / 56 + 10^{-6}) \rfloor` within the pyramid.

    Args:
        regions: ``(K, 4)``, left, top, right, bottom in input pixels.
        levels: Levels of the pyramid.

    Returns:
        ``(K,)`` int64.

    Source:
        Feature Pyramid Networks, arXiv:1612.03144, equation 1.
    """
    sides = regions[:, 2:] - regions[:, :2]
    scale = sides.prod(dim=1).clamp(min=0).sqrt()
    return torch.floor(torch.log2(scale / FINEST_SCALE + 1e-6)).clamp(0, levels - 1).long()


def region_features(
    pyramid: Sequence[Tensor], strides: Sequence[int], regions: Sequence[Tensor], size: int
) -> Tensor:
    """RoIAlign of every region on its level; as many samples a cell as the cell has map pixels.

    Args:
        pyramid: Levels ``(N, C, h, w)``, finest first.
        strides: Stride of every level.
        regions: ``(K_n, 4)`` regions of every picture, left, top, right, bottom in input pixels.
        size: Side of the result.

    Returns:
        ``(sum K_n, C, size, size)`` in the order of pictures and regions, in the type of the pyramid.

    Source:
        Mask R-CNN, arXiv:1703.06870, section 3.
    """
    flat = torch.cat(list(regions))
    pictures = torch.cat([boxes.new_full((len(boxes),), n) for n, boxes in enumerate(regions)])
    levels = region_levels(flat, len(pyramid))
    features = full_precision(flat.new_zeros(len(flat), pyramid[0].shape[1], size, size))
    features = features.to(memory_format=torch.channels_last)
    for number, (level, stride) in enumerate(zip(pyramid, strides, strict=True)):
        chosen = torch.nonzero(levels == number).flatten()
        rois = torch.cat((pictures[chosen, None], flat[chosen]), dim=1)
        level, rois = full_precision(level), rois.to(full_precision(level))
        if _is_separable(level):
            with torch.autocast(level.device.type, enabled=False):
                _align_by_products(level, rois, 1 / stride, features.permute(0, 2, 3, 1), chosen)
        else:
            aligned = roi_align(level, rois, size, 1 / stride, sampling_ratio=-1, aligned=True)
            features = features.to(aligned).index_copy(0, chosen, aligned)
    return features.to(pyramid[0].dtype)


def _is_separable(level: Tensor) -> bool:
    """Whether the matrix form applies: its loop over regions is for inference on a CPU."""
    plain = not torch.compiler.is_compiling() and not torch.onnx.is_in_onnx_export()
    return level.device.type == "cpu" and plain and not (torch.is_grad_enabled() and level.requires_grad)


def _align_by_products(
    level: Tensor, rois: Tensor, scale: float, output_nhwc: Tensor, positions: Tensor
) -> None:
    """RoIAlign as two matrix products a region.

    Args:
        level: ``(N, C, h, w)``.
        rois: ``(K, 5)`` number of the picture, left, top, right, bottom in input pixels.
        scale: Map pixels an input pixel.
        output_nhwc: ``(all regions, size, size, C)``, written at ``positions``.
        positions: ``(K,)``.
    """
    if len(rois) == 0:
        return
    size, channels = output_nhwc.shape[1], level.shape[1]
    maps = level.permute(0, 2, 3, 1).contiguous()
    start, stop = rois[:, 1:3] * scale - 0.5, rois[:, 3:5] * scale - 0.5
    columns, spans_x = _axis_weights(start[:, 0], stop[:, 0], size, maps.shape[2])
    rows, spans_y = _axis_weights(start[:, 1], stop[:, 1], size, maps.shape[1])
    pictures = rois[:, 0].long().tolist()
    for index, position in enumerate(positions.tolist()):
        (top, bottom), (left, right) = spans_y[index], spans_x[index]
        # A block of rows and columns: one matrix whose rows are a map's row apart, so nothing is copied.
        block = maps[pictures[index], top:bottom].flatten(1)[:, left * channels : right * channels]
        across = (rows[index, :, top:bottom] @ block).view(size, right - left, channels)
        torch.matmul(columns[index, :, left:right], across, out=output_nhwc[position])


def _axis_weights(
    start: Tensor, stop: Tensor, size: int, length: int
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Weights of map positions in every cell along one axis.

    Args:
        start: ``(K,)`` first coordinate of every region, in map pixels whose centres are whole numbers.
        stop: ``(K,)`` last coordinate.
        size: Cells a region.
        length: Positions of the map.

    Returns:
        ``(K, size, length)`` weights, and per region the half-open span of positions that have any.
    """
    cell = (stop - start) / size
    samples = cell.ceil().clamp(min=0)
    most = max(int(samples.max()), 1)
    steps = torch.arange(most, device=start.device)
    cells = torch.arange(size, device=start.device).to(start)
    within = (steps + 0.5) / samples.clamp(min=1)[:, None]
    places = start[:, None, None] + (cells[:, None] + within[:, None, :]) * cell[:, None, None]
    used = (steps < samples[:, None])[:, None, :] & (places >= -1) & (places <= length)
    places = places.clamp(0, length - 1)
    low = places.floor().long().clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    upper = places - low
    share = used.to(start) / samples.clamp(min=1)[:, None, None]
    weights = start.new_zeros(len(start), size, length)
    weights.scatter_add_(2, low, (1 - upper) * share).scatter_add_(2, high, upper * share)
    spans = zip(low.flatten(1).amin(dim=1).tolist(), (high.flatten(1).amax(dim=1) + 1).tolist(), strict=True)
    return weights, list(spans)
