# SPDX-License-Identifier: MIT
"""Layers of a training step on the CPU in fewer passes over memory, with their gradients, in float32.

They compute what the modules they stand for compute; :func:`fuses` says when they may.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.ops import native
from intern25.ops.backends import Refusal
from intern25.ops.eager import is_plain_eager
from intern25.ops.fused import structures

LANES = 16
"""Channels of depth-wise convolutions and norms are a multiple of this."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@functools.cache
def _is_ready() -> bool:
    library = native.library()
    return not isinstance(library, Refusal) and hasattr(library, "intern25_bias_gelu_forward")


def fuses(x: Tensor, *modules: nn.Module) -> bool:
    """Whether a differentiable float32 CPU call of these modules may run fused: nobody would notice."""
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return False
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and _is_ready()
        and not torch.nn.modules.module._has_any_global_hook()
        and all(_is_plain(module) for module in modules)
        and is_plain_eager(x, *(p for module in modules for p in module.parameters()))
    )


def _is_plain(module: nn.Module) -> bool:
    """A float32 linear layer, square depth-wise convolution, layer norm or exact GELU, with no hooks."""
    if any(getattr(module, hooks) for hooks in _HOOKS) or type(module) not in _CHECKS:
        return False
    return _CHECKS[type(module)](module) and all(
        p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous() for p in module.parameters()
    )


def _is_depthwise(convolution: Any) -> bool:
    size = convolution.kernel_size[0]
    return bool(
        convolution.groups == convolution.in_channels == convolution.out_channels
        and convolution.in_channels % LANES == 0
        and size % 2 == 1
        and convolution.kernel_size == (size, size)
        and convolution.padding == (size // 2, size // 2)
        and convolution.stride == convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
        and convolution.bias is not None
    )


class LayerNorm(nn.LayerNorm):
    """torch's layer normalisation over the last axis, which trains fused."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        if fuses(x, self) and x.shape[-1:] == self.normalized_shape:
            return cast(Tensor, _LayerNorm.apply(x, self.weight, self.bias, float(self.eps)))
        return super().forward(x)


def depthwise_norm_gelu(x: Tensor, convolution: nn.Conv2d, norm: LayerNorm) -> Tensor:
    """GELU(norm(convolution(x))) of an ``(N, H, W, C)`` map."""
    if x.ndim != 4 or not x.shape[3] == convolution.in_channels == norm.normalized_shape[0]:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, expected (N, H, W, {convolution.in_channels}) "
            f"for a norm over {norm.normalized_shape[0]} channels"
        )
    return cast(
        Tensor,
        _DepthwiseNormGelu.apply(
            x, convolution.weight, convolution.bias, norm.weight, norm.bias, float(norm.eps)
        ),
    )


def mlp(x: Tensor, first: nn.Linear, second: nn.Linear) -> Tensor:
    """second(GELU(first(x))) over the last axis."""
    return cast(Tensor, _MLP.apply(x, first.weight, first.bias, second.weight, second.bias))


def _is_norm(norm: Any) -> bool:
    return len(norm.normalized_shape) == 1 and norm.normalized_shape[0] % LANES == 0 and norm.bias is not None


_CHECKS: dict[type[nn.Module], Any] = {
    nn.Linear: lambda linear: linear.bias is not None,
    LayerNorm: _is_norm,
    nn.GELU: lambda activation: activation.approximate == "none",
    nn.Conv2d: _is_depthwise,
}


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        x = x.contiguous()
        output, statistics = torch.empty_like(x), x.new_empty((x.numel() // x.shape[-1], 2))
        ctx.epsilon = epsilon
        ctx.save_for_backward(x, gain, bias, statistics)
        call = _norm_call(x, gain, bias, statistics, epsilon)
        call.output = output.data_ptr()
        _run("norm_forward", call)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, statistics = ctx.saved_tensors
        grad = grad.contiguous()
        grad_x, grad_parameters = torch.empty_like(x), gain.new_empty((2, gain.shape[0]))
        call = _norm_call(x, gain, bias, statistics, ctx.epsilon)
        call.grad_output, call.grad_input = grad.data_ptr(), grad_x.data_ptr()
        call.grad_parameters = grad_parameters.data_ptr()
        _run("norm_backward", call)
        return grad_x, *grad_parameters.unbind(), None


class _DepthwiseNormGelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, gain: Tensor, norm_bias: Tensor, epsilon: float
    ) -> Tensor:
        x = x.contiguous()
        taps = torch.cat((weight.flatten(1).T, bias[None]))  # (kernel * kernel + 1, C)
        convolved, output = torch.empty_like(x), torch.empty_like(x)
        statistics = x.new_empty((*x.shape[:3], 2))
        ctx.epsilon = epsilon
        ctx.save_for_backward(x, taps, gain, norm_bias, convolved, statistics)
        call = _depthwise_call(x, taps, gain, norm_bias, convolved, statistics, epsilon)
        call.output = output.data_ptr()
        _run("depthwise_forward", call)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, taps, gain, norm_bias, convolved, statistics = ctx.saved_tensors
        grad = grad.contiguous()
        grad_convolved, grad_x = torch.empty_like(x), torch.empty_like(x)
        grad_parameters = taps.new_empty((taps.shape[0] + 2, taps.shape[1]))
        call = _depthwise_call(x, taps, gain, norm_bias, convolved, statistics, ctx.epsilon)
        call.grad_output, call.grad_convolved = grad.data_ptr(), grad_convolved.data_ptr()
        call.grad_input, call.grad_parameters = grad_x.data_ptr(), grad_parameters.data_ptr()
        _run("depthwise_backward", call)
        size = _kernel_size(taps)
        grad_weight = grad_parameters[:-3].T.reshape(-1, 1, size, size)
        return grad_x, grad_weight, *grad_parameters[-3:].unbind(), None


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        hidden = rows @ weight1.T
        activated = torch.empty_like(hidden)
        _bias_gelu("forward", hidden, bias1.contiguous(), activated)
        ctx.save_for_backward(rows, weight1, hidden, activated, weight2)
        return torch.addmm(bias2, activated, weight2.T).view(*x.shape[:-1], -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight1, hidden, activated, weight2 = ctx.saved_tensors
        needs_x, needs_weight1, _, needs_weight2, needs_bias2 = ctx.needs_input_grad
        shape, grad = grad.shape, grad.reshape(-1, grad.shape[-1])
        grad_hidden = grad @ weight2
        grad_bias1 = hidden.new_empty(hidden.shape[1])
        _bias_gelu("backward", hidden, grad_bias1, grad_hidden)
        return (
            (grad_hidden @ weight1).view(*shape[:-1], -1) if needs_x else None,
            grad_hidden.T @ rows if needs_weight1 else None,
            grad_bias1,
            grad.T @ activated if needs_weight2 else None,
            grad.sum(0) if needs_bias2 else None,
        )


def _bias_gelu(direction: str, hidden: Tensor, bias: Tensor, activated: Tensor) -> None:
    """Forward or, with gradients in place of ``bias`` and ``activated``, backward; see native/training.h."""
    call = structures.BiasGeluCall(
        rows=hidden.shape[0],
        channels=hidden.shape[1],
        threads=torch.get_num_threads(),
        input=hidden.data_ptr(),
        bias=bias.data_ptr(),
        output=activated.data_ptr(),
    )
    _run(f"bias_gelu_{direction}", call)


def _norm_call(
    x: Tensor, gain: Tensor, bias: Tensor, statistics: Tensor, epsilon: float
) -> structures.NormCall:
    return structures.NormCall(
        rows=statistics.shape[0],
        channels=x.shape[-1],
        threads=torch.get_num_threads(),
        epsilon=epsilon,
        input=x.data_ptr(),
        norm=structures.NormStructure(gain.data_ptr(), bias.data_ptr()),
        statistics=statistics.data_ptr(),
    )


def _depthwise_call(
    x: Tensor,
    taps: Tensor,
    gain: Tensor,
    norm_bias: Tensor,
    convolved: Tensor,
    statistics: Tensor,
    epsilon: float,
) -> structures.DepthwiseCall:
    batch, height, width, channels = x.shape
    return structures.DepthwiseCall(
        batch=batch,
        height=height,
        width=width,
        channels=channels,
        kernel=_kernel_size(taps),
        threads=torch.get_num_threads(),
        epsilon=epsilon,
        input=x.data_ptr(),
        weight=taps.data_ptr(),
        norm=structures.NormStructure(gain.data_ptr(), norm_bias.data_ptr()),
        convolved=convolved.data_ptr(),
        statistics=statistics.data_ptr(),
    )


def _kernel_size(taps: Tensor) -> int:
    return math.isqrt(taps.shape[0] - 1)


def _run(name: str, call: ctypes.Structure) -> None:
    library = native.library()
    assert isinstance(library, ctypes.CDLL), "fuses() asked for the library"
    if getattr(library, f"intern25_{name}")(ctypes.byref(call)):
        raise MemoryError(f"{name}: out of memory")
