# SPDX-License-Identifier: MIT
"""From a picture to probabilities or classes at its own size: whole or by windows, at scales, mirrored.

The order is that of the official test code: scores are enlarged to the network's input, then to the original
picture, then softmax, then views are mirrored back and averaged. Mask2Former's scores pass the same softmax.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from intern25.layers.convolution import Size, resize
from intern25.segmentation.segmenter import Segmenter

Mode = Literal["whole", "slide"]
MULTIPLE = 32
"""Sides of a rescaled input are rounded up to a multiple of this."""
# Numbers of one enlarged chunk of classes: 16 MB, enough to be worth the calls.
_CHUNK = 1 << 22
_LARGEST_SCALE = 4.0


class Window(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    bottom: int
    left: int
    right: int


class LabelMap(NamedTuple):
    """Class of each pixel of one picture."""

    labels: Tensor
    """``(H, W)`` uint8."""
    scores: Tensor | None
    """``(H, W)`` probability of that class, or None."""


class _View(NamedTuple):
    """Scores of one view of a batch before they are enlarged."""

    scores: Tensor
    size: Size
    """Network's input size, to which the scores are enlarged first."""
    is_mirrored: bool

    def enlarged(self, size: Size, classes: slice, pictures: slice) -> Tensor:
        """Scores of some classes and pictures at ``size``, the right way round."""
        part = self.scores[pictures, classes].contiguous(memory_format=torch.channels_last)
        scores = resize(resize(part, self.size), size)
        return scores.flip(-1) if self.is_mirrored else scores


@torch.no_grad()
def segment(
    model: Segmenter,
    images: Tensor,
    *,
    mode: Mode = "whole",
    crop: int | Size | None = None,
    stride: int | Size | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    original_sizes: Sequence[Size] | None = None,
) -> Tensor:
    """Probability of each class at each pixel.

    :func:`label_maps` gives the classes alone, with far less memory.

    Convention: a side of a picture at another scale is rounded up to a multiple of 32; scale 1 is the input
    as it is given.

    Args:
        model: In evaluation mode.
        images: Normalised ``(N, 3, H, W)``.
        mode: ``"whole"`` looks at the picture at once; ``"slide"`` averages the scores of windows.
        crop: Side or (height, width) of a window, for ``"slide"``.
        stride: Distance of the windows, for ``"slide"``; None = two thirds of the crop.
        scales: Sizes at which the picture is seen, 1 = as given.
        flip: Also see it mirrored.
        original_sizes: (height, width) of each original picture; None = the images' size.

    Returns:
        ``(N, num_classes, height, width)``, summing to 1 over the classes.

    Raises:
        ValueError: The model is in training mode, the original sizes differ, or windows are not given as
            ``mode`` needs them.
    """
    sizes = _original_sizes(images, original_sizes)
    if len(set(sizes)) != 1:
        raise ValueError(f"original sizes {sizes} differ and do not fit one tensor; call segment() for each")
    views = _views(model, images, _windows_option(mode, crop, stride), scales, flip)
    everything = slice(None)
    total: Tensor | None = None
    for view in views:
        probability = view.enlarged(sizes[0], everything, everything).softmax(dim=1)
        total = probability if total is None else total.add_(probability)
    assert total is not None, "there is at least one view"
    return total / len(views) if len(views) > 1 else total


@torch.no_grad()
def label_maps(
    model: Segmenter,
    images: Tensor,
    *,
    mode: Mode = "whole",
    crop: int | Size | None = None,
    stride: int | Size | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    original_sizes: Sequence[Size] | None = None,
    with_scores: bool = False,
) -> list[LabelMap]:
    """Most probable class at each pixel, in small chunks of classes: no full-size map of every class.

    Args:
        model: In evaluation mode.
        images: Normalised ``(N, 3, H, W)``.
        mode: As in :func:`segment`.
        crop: As in :func:`segment`.
        stride: As in :func:`segment`.
        scales: As in :func:`segment`.
        flip: As in :func:`segment`.
        original_sizes: (height, width) of each original picture, which may differ; None = the images' size.
        with_scores: Also return the probability of the chosen class.

    Returns:
        One map for each picture.

    Raises:
        ValueError: As :func:`segment`, except that sizes may differ.
    """
    sizes = _original_sizes(images, original_sizes)
    views = _views(model, images, _windows_option(mode, crop, stride), scales, flip)
    return [_label_map(views, picture, size, with_scores) for picture, size in enumerate(sizes)]


def windows(size: Size, crop: Size, stride: Size) -> Iterator[Window]:
    """Windows that cover a picture; the last of a row or column is shifted back inside.

    Args:
        size: (height, width) of the picture.
        crop: (height, width) of a window, cut to the picture.
        stride: Distance of the windows down and across.

    Yields:
        Windows row by row.

    Example:
        >>> [window.left for window in windows((96, 160), (96, 96), (64, 64))]
        [0, 64]
    """
    for row in range(max(math.ceil((size[0] - crop[0]) / stride[0]), 0) + 1):
        bottom = min(row * stride[0] + crop[0], size[0])
        for column in range(max(math.ceil((size[1] - crop[1]) / stride[1]), 0) + 1):
            right = min(column * stride[1] + crop[1], size[1])
            yield Window(max(bottom - crop[0], 0), bottom, max(right - crop[1], 0), right)


def check_scales(scales: Sequence[float]) -> Sequence[float]:
    """Return ``scales``, or refuse what is no size of a picture.

    Raises:
        TypeError: One number in place of a list.
        ValueError: There is none, or one is not positive, or enlarges a picture beyond memory.
    """
    if isinstance(scales, int | float):
        raise TypeError(f"scales={scales} must be a list of numbers: scales=[{scales}]")
    if not scales or not all(0.0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales={tuple(scales)} must be positive numbers, at least one, such as (0.5, 1.0)")
    if max(scales) > _LARGEST_SCALE:
        raise ValueError(
            f"scales={tuple(scales)} must be at most {_LARGEST_SCALE:g}: time and memory grow with the square"
        )
    return scales


def _views(
    model: Segmenter,
    images: Tensor,
    crop_and_stride: tuple[Size, Size] | None,
    scales: Sequence[float],
    flip: bool,
) -> list[_View]:
    """Scores of every scale, as given and mirrored."""
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() first")
    views = []
    for scale in check_scales(scales):
        scaled = _rescale(images, scale)
        size = (scaled.shape[-2], scaled.shape[-1])
        for is_mirrored in (False, True) if flip else (False,):
            seen = scaled.flip(-1) if is_mirrored else scaled
            scores = model.scores(seen) if crop_and_stride is None else _slide(model, seen, *crop_and_stride)
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            views.append(_View(scores, size, is_mirrored))
    return views


def _rescale(images: Tensor, scale: float) -> Tensor:
    """Images at another scale, sides rounded up to a multiple of 32; scale 1 leaves them alone."""
    if scale == 1.0:
        return images
    height, width = (MULTIPLE * math.ceil(round(side * scale) / MULTIPLE) for side in images.shape[-2:])
    return resize(images, (max(height, MULTIPLE), max(width, MULTIPLE)))


def _slide(model: Segmenter, images: Tensor, crop: Size, stride: Size) -> Tensor:
    """Mean of the windows' scores at each pixel, ``(N, classes, H, W)``."""
    size = (images.shape[-2], images.shape[-1])
    total: Tensor | None = None
    count = images.new_zeros(size)
    for top, bottom, left, right in windows(size, crop, stride):
        scores = model.scores(images[..., top:bottom, left:right])
        scores = resize(scores, (bottom - top, right - left))
        if total is None:
            total = scores.new_zeros((*scores.shape[:2], *size))
        total[..., top:bottom, left:right] += scores
        count[top:bottom, left:right] += 1
    assert total is not None, "windows() gives at least one window"
    return total / count


def _label_map(views: list[_View], picture: int, size: Size, with_scores: bool) -> LabelMap:
    num_classes = views[0].scores.shape[1]
    step = max(1, _CHUNK // (size[0] * size[1]))
    chunks = [slice(start, min(start + step, num_classes)) for start in range(0, num_classes, step)]
    rows = slice(picture, picture + 1)
    if len(views) == 1:
        best, labels, log_total = _best_score(views[0], rows, size, chunks, with_scores)
        return LabelMap(labels, None if log_total is None else (best - log_total).exp())
    log_totals = [_log_total(view, rows, size, chunks) for view in views]
    best = torch.full(size, -1.0, dtype=log_totals[0].dtype, device=log_totals[0].device)
    labels = torch.zeros(size, dtype=torch.uint8, device=best.device)
    for chunk in chunks:
        mean = sum(
            (view.enlarged(size, chunk, rows)[0] - log_total).exp()
            for view, log_total in zip(views, log_totals, strict=True)
        ) / len(views)
        _keep_best(best, labels, torch.as_tensor(mean), chunk.start)
    return LabelMap(labels, best if with_scores else None)


def _best_score(
    view: _View, rows: slice, size: Size, chunks: list[slice], with_total: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Best score, its class, and the logarithm of the sum of all exponentials."""
    first = view.scores
    best = torch.full(size, -torch.inf, dtype=first.dtype, device=first.device)
    labels = torch.zeros(size, dtype=torch.uint8, device=first.device)
    log_total = best.clone() if with_total else None
    for chunk in chunks:
        scores = view.enlarged(size, chunk, rows)[0]
        _keep_best(best, labels, scores, chunk.start)
        if log_total is not None:
            log_total = torch.logaddexp(log_total, scores.logsumexp(0))
    return best, labels, log_total


def _log_total(view: _View, rows: slice, size: Size, chunks: list[slice]) -> Tensor:
    """Logarithm of the sum of all exponentials at each pixel."""
    parts = [view.enlarged(size, chunk, rows)[0].logsumexp(0) for chunk in chunks]
    return torch.stack(parts).logsumexp(0)


def _keep_best(best: Tensor, labels: Tensor, scores: Tensor, first_class: int) -> None:
    """Update, in place, the best score and its class by those of a few more classes; ties keep the first."""
    values, indices = scores.max(dim=0)
    better = values > best
    best.copy_(torch.where(better, values, best))
    labels.copy_(torch.where(better, (indices + first_class).to(torch.uint8), labels))


def _original_sizes(images: Tensor, sizes: Sequence[Size] | None) -> list[Size]:
    if sizes is None:
        return [(images.shape[-2], images.shape[-1])] * len(images)
    if len(sizes) != len(images):
        raise ValueError(f"{len(sizes)} original sizes for {len(images)} images")
    return [(int(height), int(width)) for height, width in sizes]


def _windows_option(
    mode: Mode, crop: int | Size | None, stride: int | Size | None
) -> tuple[Size, Size] | None:
    """Crop and stride of the windows, None for the whole picture."""
    if mode == "whole":
        if crop is not None or stride is not None:
            raise ValueError(f"crop={crop} and stride={stride} need mode='slide'")
        return None
    if mode != "slide":
        raise ValueError(f"mode={mode!r} is unknown; use 'whole' or 'slide'")
    if crop is None:
        raise ValueError("mode='slide' needs crop=, the side of a window, such as crop=896")
    height, width = (crop, crop) if isinstance(crop, int) else crop
    if stride is None:
        stride = (math.ceil(height * 2 / 3), math.ceil(width * 2 / 3))
    down, across = (stride, stride) if isinstance(stride, int) else stride
    if min(height, width, down, across) < 1 or down > height or across > width:
        raise ValueError(f"crop={crop} and stride={stride} must be positive, and no stride above its crop")
    return (height, width), (down, across)
