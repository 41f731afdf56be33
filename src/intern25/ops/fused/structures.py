# SPDX-License-Identifier: MIT
"""The structures of native/inference.h and native/training.h, field by field."""

from __future__ import annotations

import ctypes
from typing import Any

_POINTER = ctypes.c_void_p
_INTEGER = ctypes.c_int64


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class LinearStructure(ctypes.Structure):
    """``Linear``: a packed layer."""

    _fields_ = [*_fields(_POINTER, "weight bias"), *_fields(_INTEGER, "inputs outputs weight_type")]


class NormStructure(ctypes.Structure):
    """``Norm``: gain and bias, or null."""

    _fields_ = _fields(_POINTER, "gain bias")


class BlockStructure(ctypes.Structure):
    """``Block``: the weights of one InternImage block."""

    _fields_ = [
        ("dcn_pre_norm", NormStructure),
        ("input_projection", LinearStructure),
        ("depthwise_weight", _POINTER),
        ("depthwise_norm", NormStructure),
        ("sampling", LinearStructure),
        ("output_projection", LinearStructure),
        *_fields(NormStructure, "dcn_post_norm mlp_pre_norm"),
        *_fields(LinearStructure, "expand reduce"),
        *_fields(NormStructure, "mlp_post_norm after"),
    ]


class StageCall(ctypes.Structure):
    """``StageCall``: all blocks of one resolution on one map."""

    _fields_ = [
        *_fields(_INTEGER, "batch height width channels groups hidden"),
        *_fields(_INTEGER, "depthwise_kernel gated remove_center threads num_blocks"),
        *_fields(ctypes.c_double, "offset_scale epsilon"),
        ("blocks", ctypes.POINTER(BlockStructure)),
        ("norm", NormStructure),
        *_fields(_POINTER, "input output workspace"),
    ]


class ConvolutionCall(ctypes.Structure):
    """``ConvolutionCall``: 3x3 convolution with stride 2, norm, activation."""

    _fields_ = [
        *_fields(_INTEGER, "batch height width channels"),
        *_fields(_INTEGER, "image_stride row_stride pixel_stride channel_stride gelu threads"),
        ("epsilon", ctypes.c_double),
        ("linear", LinearStructure),
        ("norm", NormStructure),
        *_fields(_POINTER, "input output"),
    ]


class LinearCall(ctypes.Structure):
    """``LinearCall``: a packed layer on rows, with or without GELU."""

    _fields_ = [
        *_fields(_INTEGER, "rows input_stride output_stride gelu threads"),
        ("linear", LinearStructure),
        *_fields(_POINTER, "input output"),
    ]


class DepthwiseCall(ctypes.Structure):
    """``DepthwiseCall``: depth-wise convolution, norm and GELU, forward or backward."""

    _fields_ = [
        *_fields(_INTEGER, "batch height width channels kernel threads"),
        ("epsilon", ctypes.c_double),
        *_fields(_POINTER, "input weight"),
        ("norm", NormStructure),
        *_fields(_POINTER, "convolved statistics output"),
        *_fields(_POINTER, "grad_output grad_convolved grad_input grad_parameters"),
    ]


class NormCall(ctypes.Structure):
    """``NormCall``: layer normalisation, forward or backward."""

    _fields_ = [
        *_fields(_INTEGER, "rows channels threads"),
        ("epsilon", ctypes.c_double),
        ("input", _POINTER),
        ("norm", NormStructure),
        *_fields(_POINTER, "statistics output grad_output grad_input grad_parameters"),
    ]


class BiasGeluCall(ctypes.Structure):
    """``BiasGeluCall``: bias and GELU, forward or backward."""

    _fields_ = [*_fields(_INTEGER, "rows channels threads"), *_fields(_POINTER, "input bias output")]
