# SPDX-License-Identifier: MIT
"""The public function ``dcnv3``: the one place where its arguments are validated."""

from __future__ import annotations

import functools
from typing import get_args

import torch
from torch import Tensor

from intern25.ops.backends import BackendName
from intern25.ops.dcnv3 import reference, schema
from intern25.ops.dcnv3.dispatch import DISPATCHER
from intern25.ops.dcnv3.geometry import Geometry, Pair, as_pair

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Types of the tensors; the half types are computed in float32."""


def dcnv3(  # noqa: PLR0913 - the geometry of a convolution
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    *,
    kernel_size: int | Pair = 3,
    stride: int | Pair = 1,
    padding: int | Pair = 1,
    dilation: int | Pair = 1,
    groups: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
    backend: BackendName = "auto",
) -> Tensor:
    r"""Deformable convolution v3: sample, modulate, sum - per group, without channel mixing.

    $$ y_g(p_0) = \sum_{k=1}^{K} m_{gk}\, x_g\big(p_0 + s\,(p_k + \Delta p_{gk})\big) $$

    Convention:
        - layout: channels last; ``C = groups * channels_per_group``, group-major.
        - ``offset``: last axis is ``(dx, dy)`` in input pixels before ``offset_scale``; zero = regular grid.
        - points: x slow, y fast (``k = ix * kernel_height + iy``), the transpose of the usual order;
          ``K = kernel_height * kernel_width``, one less with ``remove_center``.
        - ``offset_scale`` ``s`` stretches the regular grid as well as the offsets, about the kernel's centre.
        - sampling: bilinear, zeros outside the image, pixel centres at integer coordinates.
        - sizes are ``(height, width)``; the output size is that of a convolution with the same arguments.
        - derivative by ``offset`` at integer positions: the right-hand one.

    On a CPU the same bits come out of every run. The Triton kernel adds the gradient of ``x`` atomically, in
    no fixed order; under ``torch.use_deterministic_algorithms(True)`` the reference computes it instead.

    Args:
        x: Input, ``(N, H, W, C)``, float32, float64, bfloat16 or float16 (half types accumulate in float32).
        offset: ``(N, H_out, W_out, groups * K * 2)``, dtype of ``x``; under autocast it is cast.
        mask: ``(N, H_out, W_out, groups * K)``, dtype of ``x``, softmax over ``K`` as a rule; cast likewise.
        kernel_size: Size of the sampling grid.
        stride: Step between output pixels, in input pixels.
        padding: Zero border on each side, in input pixels.
        dilation: Step of the sampling grid, in input pixels before ``offset_scale``.
        groups: Groups of channels, each with offsets and modulation of its own.
        offset_scale: Factor ``s`` of grid and offsets.
        remove_center: Leave the central point out; needs an odd square kernel.
        softmax: ``mask`` holds logits; the softmax over ``K`` is part of the operator.
        backend: ``"auto"`` picks the fastest that accepts these inputs. ``"reference"`` runs plain PyTorch
            operations and is exported as ``grid_sample`` (ONNX ``GridSample``), as every ONNX export is.

    Returns:
        ``(N, H_out, W_out, C)``, dtype of ``x``.

    Raises:
        TypeError: Dtypes or devices disagree (message shows both).
        ValueError: Shapes or arguments disagree (message shows both sides).
        RuntimeError: ``backend`` was forced and refuses; the message says why.

    Example:
        >>> x = torch.randn(1, 8, 8, 16)
        >>> offset, mask = torch.zeros(1, 8, 8, 2 * 9 * 2), torch.full((1, 8, 8, 2 * 9), 1 / 9)
        >>> y = dcnv3(x, offset, mask, groups=2)  # zero offsets, equal weights: 3x3 average pooling
        >>> torch.allclose(y[0, 1, 1], x[0, :3, :3].mean((0, 1)), atol=1e-6)
        True

    Source:
        InternImage, arXiv:2211.05778, Eq. 2; numerics checked against the outputs of the authors' code
        (OpenGVLab/InternImage, ``classification/ops_dcnv3``, MIT), tests/goldens/op.
    """
    # the compiler follows the class but not the cache
    geometry = (Geometry if torch.compiler.is_compiling() else _cached_geometry)(
        as_pair(kernel_size, "kernel_size"),
        as_pair(stride, "stride"),
        as_pair(padding, "padding"),
        as_pair(dilation, "dilation"),
        groups,
        offset_scale,
        remove_center,
        softmax,
    )
    return apply(x, offset, mask, geometry, backend)


def apply(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry, backend: BackendName) -> Tensor:
    """``dcnv3`` for callers that keep the geometry, as the module does."""
    if offset.dtype != x.dtype or mask.dtype != x.dtype:
        offset, mask = _autocast(x, offset, mask)
    _check(x, offset, mask, geometry)
    if torch.compiler.is_exporting() and (backend == "reference" or torch.onnx.is_in_onnx_export()):
        return reference.forward_exportable(x, offset, mask, geometry)
    if backend == "reference":
        return reference.forward(x, offset, mask, geometry)
    if backend != "auto":
        _require(backend, x, offset, mask, geometry)
    return schema.call(x, offset, mask, geometry)


_cached_geometry = functools.lru_cache(maxsize=256)(Geometry)


def _require(backend: BackendName, x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> None:
    """Raise if a forced backend is unknown or refuses; a graph being traced decides when it runs."""
    if backend not in get_args(BackendName):
        raise ValueError(f"backend={backend!r} is unknown; use one of {', '.join(get_args(BackendName))}")
    if not torch.compiler.is_compiling():
        DISPATCHER.require(backend, x, offset, mask, geometry)


def _autocast(x: Tensor, offset: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Under autocast the operator runs in the type of ``x``, as the authors' does; else types must agree."""
    if not torch.is_autocast_enabled(x.device.type):
        raise TypeError(
            f"offset is {offset.dtype} and mask is {mask.dtype}, but x is {x.dtype}; cast them to {x.dtype}"
        )
    return offset.to(x.dtype), mask.to(x.dtype)


def _check(x: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> None:
    """Raise for shapes, types and devices that do not fit together."""
    if x.dtype not in DTYPES:
        raise TypeError(f"x is {x.dtype}; dcnv3 takes {', '.join(str(dtype) for dtype in DTYPES)}")
    if offset.device != x.device or mask.device != x.device:
        devices = f"x is on {x.device}, offset on {offset.device}, mask on {mask.device}"
        raise TypeError(f"{devices}; move them to one device")
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (N, H, W, C)")
    batch, height, width, channels = x.shape
    groups = geometry.groups
    if channels % groups != 0:
        raise ValueError(f"groups={groups} does not divide channels={channels} of x; {_divisors(channels)}")
    out_height, out_width = geometry.output_size(height, width)
    for name, tensor, factor in (("offset", offset, 2), ("mask", mask, 1)):
        last = groups * geometry.num_points * factor
        if tensor.shape != (batch, out_height, out_width, last):
            unit = "groups*K*2" if factor == 2 else "groups*K"
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; expected {(batch, out_height, out_width, last)} = "
                f"(N, H_out, W_out, {unit}) for x of shape {tuple(x.shape)}, groups={groups}, "
                f"K={geometry.num_points}"
            )


def _divisors(channels: int) -> str:
    """The way out of a wrong number of groups."""
    return "use one of " + ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
