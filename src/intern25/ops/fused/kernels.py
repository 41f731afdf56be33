# SPDX-License-Identifier: MIT
"""Fused inference layers of the native library: packed weights in, float32 channels-last maps in and out.

Weights are packed once into the panels of native/gemm.h, in float32 or bfloat16; activations are float32
either way. Nothing here is differentiable.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from intern25.ops import native
from intern25.ops.backends import Ready, Refusal, Status
from intern25.ops.fused import structures

PANEL = 32
"""Outputs of one packed panel."""
LANES = 16
"""Every channel count of a fused stage is a multiple of this."""
_TYPES = {torch.float32: 0, torch.bfloat16: 2}


@functools.cache
def status() -> Status:
    """Whether the native library is there and has these kernels."""
    library = native.library()
    if isinstance(library, Refusal):
        return library
    try:
        library.intern25_stage_workspace.restype = ctypes.c_int64
        for name in ("stage", "convolution", "linear"):
            library[f"intern25_run_{name}"].restype = ctypes.c_int
    except AttributeError as error:
        return Refusal(f"the native library is older than these sources, rebuild it: {error}")
    return Ready(native.instruction_set())


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation over the channels; float32, contiguous."""

    gain: Tensor
    bias: Tensor

    def structure(self) -> structures.NormStructure:
        """Pointers; valid as long as ``self`` lives."""
        return structures.NormStructure(self.gain.data_ptr(), self.bias.data_ptr())


@dataclass(frozen=True, slots=True)
class PackedLinear:
    """A linear layer in panels of 32 outputs."""

    weight: Tensor
    """(panels, inputs, 32), float32 or bfloat16."""
    bias: Tensor
    """(panels * 32,), float32."""
    inputs: int
    outputs: int

    def structure(self) -> structures.LinearStructure:
        """Pointers and sizes; valid as long as ``self`` lives."""
        return structures.LinearStructure(
            self.weight.data_ptr(), self.bias.data_ptr(), self.inputs, self.outputs, _TYPES[self.weight.dtype]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBlock:
    """Weights of one InternImage block; None where the block has no such step."""

    dcn_pre_norm: Norm | None
    input_projection: PackedLinear
    depthwise_weight: Tensor
    """(kernel * kernel + 1, C): the taps row by row, then the bias."""
    depthwise_norm: Norm
    sampling: PackedLinear
    """Offsets, mask logits and, in a gated block, the logits of the centre feature's share."""
    output_projection: PackedLinear
    dcn_post_norm: Norm | None
    mlp_pre_norm: Norm | None
    expand: PackedLinear
    reduce: PackedLinear
    mlp_post_norm: Norm | None
    after: Norm | None

    def structure(self) -> structures.BlockStructure:
        """Pointers; valid as long as ``self`` lives."""
        block = structures.BlockStructure()
        for name in self.__slots__:
            part = getattr(self, name)
            if isinstance(part, Tensor):
                setattr(block, name, part.data_ptr())
            elif part is not None:
                setattr(block, name, part.structure())
        return block


@dataclass(slots=True, kw_only=True)
class PackedStage:
    """All blocks of one resolution."""

    channels: int
    groups: int
    hidden: int
    depthwise_kernel: int
    gated: bool
    remove_center: bool
    offset_scale: float
    epsilon: float
    blocks: tuple[PackedBlock, ...]
    norm: Norm | None
    _call: Any = field(default=None, init=False, repr=False)
    """The structure that all calls start from; rebuilt in copies, which have other tensors."""

    def __call__(self, x_nhwc: Tensor) -> Tensor:
        """Run the blocks on a float32 ``(N, H, W, C)`` map and return a fresh one."""
        x_nhwc = x_nhwc.contiguous()
        output = torch.empty_like(x_nhwc)
        call = structures.StageCall.from_buffer_copy(self._template())
        call.batch, call.height, call.width, _ = x_nhwc.shape
        call.threads = torch.get_num_threads()
        call.input, call.output = x_nhwc.data_ptr(), output.data_ptr()
        workspace = torch.empty(_library().intern25_stage_workspace(ctypes.byref(call)), dtype=torch.float32)
        call.workspace = workspace.data_ptr()
        _run("stage", call)
        return output

    def _template(self) -> Any:
        if self._call is None:
            blocks = (structures.BlockStructure * len(self.blocks))(*(b.structure() for b in self.blocks))
            call = structures.StageCall(
                channels=self.channels,
                groups=self.groups,
                hidden=self.hidden,
                depthwise_kernel=self.depthwise_kernel,
                gated=self.gated,
                remove_center=self.remove_center,
                num_blocks=len(self.blocks),
                offset_scale=self.offset_scale,
                epsilon=self.epsilon,
                blocks=blocks,
            )
            if self.norm is not None:
                call.norm = self.norm.structure()
            self._call = (call, blocks)
        return self._call[0]

    def __getstate__(self) -> dict[str, Any]:
        return {name: None if name == "_call" else getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def pack_linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> PackedLinear:
    """Pack a ``(outputs, inputs)`` matrix and its bias for the fused kernels.

    Args:
        weight: Matrix, any floating dtype.
        bias: ``(outputs,)``; None for zeros.
        dtype: float32 or bfloat16, the type the weight is kept in.
    """
    outputs, inputs = weight.shape
    panels = -(-outputs // PANEL)
    packed = torch.zeros(panels, inputs, PANEL, dtype=dtype)
    for panel in range(panels):
        rows = weight[panel * PANEL : (panel + 1) * PANEL].detach().to(dtype)
        packed[panel, :, : rows.shape[0]] = rows.T
    if dtype == torch.bfloat16:  # output j is followed by output j + 16
        packed = packed.unflatten(2, (2, PANEL // 2)).transpose(2, 3).flatten(2).contiguous()
    packed_bias = torch.zeros(panels * PANEL)
    if bias is not None:
        packed_bias[:outputs] = bias.detach()
    return PackedLinear(packed, packed_bias, inputs, outputs)


def convolution_norm(
    x: Tensor, linear: PackedLinear, norm: Norm, *, epsilon: float, gelu: bool, layout: str
) -> Tensor:
    """3x3 convolution with stride 2 and padding 1, layer normalisation and, if asked, GELU.

    Args:
        x: float32 map, ``(N, C, H, W)`` or ``(N, H, W, C)`` as ``layout`` says, any strides.
        linear: The convolution's weights as ``(outputs, 3 * 3 * C)``, ordered (row, column, channel).
        norm: Normalisation over the outputs.
        epsilon: Of the normalisation.
        gelu: Whether the activation follows.
        layout: ``"NCHW"`` or ``"NHWC"``.

    Returns:
        ``(N, ceil(H / 2), ceil(W / 2), outputs)``, float32.
    """
    batch, channels, height, width = (x.shape[layout.index(axis)] for axis in "NCHW")
    image_stride, channel_stride, row_stride, pixel_stride = (x.stride(layout.index(axis)) for axis in "NCHW")
    output = x.new_empty((batch, (height + 1) // 2, (width + 1) // 2, linear.outputs))
    _run(
        "convolution",
        structures.ConvolutionCall(
            batch=batch,
            height=height,
            width=width,
            channels=channels,
            image_stride=image_stride,
            row_stride=row_stride,
            pixel_stride=pixel_stride,
            channel_stride=channel_stride,
            gelu=gelu,
            threads=torch.get_num_threads(),
            epsilon=epsilon,
            linear=linear.structure(),
            norm=norm.structure(),
            input=x.data_ptr(),
            output=output.data_ptr(),
        ),
    )
    return output


def linear_gelu(x: Tensor, linear: PackedLinear, *, gelu: bool = True) -> Tensor:
    """Linear layer and GELU on float32 rows, ``(M, inputs)`` to ``(M, outputs)``."""
    x = x.contiguous()
    width = -(-linear.outputs // LANES) * LANES
    output = x.new_empty((x.shape[0], width))
    _run(
        "linear",
        structures.LinearCall(
            rows=x.shape[0],
            input_stride=linear.inputs,
            output_stride=width,
            gelu=gelu,
            threads=torch.get_num_threads(),
            linear=linear.structure(),
            input=x.data_ptr(),
            output=output.data_ptr(),
        ),
    )
    return output[:, : linear.outputs]


def _library() -> ctypes.CDLL:
    library = native.library()
    assert isinstance(library, ctypes.CDLL), "callers ask status() first"
    return library


def _run(name: str, call: ctypes.Structure) -> None:
    failed = _library()[f"intern25_run_{name}"](ctypes.byref(call))
    if failed:
        raise MemoryError(f"fused {name}: out of memory")
