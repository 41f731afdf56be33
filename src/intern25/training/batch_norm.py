# SPDX-License-Identifier: MIT
"""Batch normalisation over the batches of all processes, on any device.

``torch.nn.SyncBatchNorm`` needs a GPU; this one sums the moments with differentiable all-reduces, so several
CPU processes compute what one process computes on the joined batch. State dicts are those of BatchNorm2d.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce whose gradient is an all-reduce: every process uses the sum."""

    @staticmethod
    def forward(_ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum(tensor: Tensor) -> Tensor:
    return cast(Tensor, _SumOverProcesses.apply(tensor))


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of all processes together."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)``."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        x = input.float()
        count = x.new_tensor([x.numel() / x.shape[1]])
        count = _sum(count)
        mean = _sum(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = _sum(centred.square().sum(dim=(0, 2, 3))) / count
        self._track(mean.detach(), variance.detach(), float(count))
        scale = torch.rsqrt(variance + self.eps)
        weight = scale if self.weight is None else scale * self.weight
        out = centred * weight[:, None, None]
        out = out if self.bias is None else out + self.bias[:, None, None]
        return out.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Update the running statistics with the unbiased variance, as BatchNorm does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(count - 1.0, 1.0)), share)


def synchronise_batch_norm(model: nn.Module) -> nn.Module:
    """Replace every BatchNorm2d by one with statistics of all processes, sharing its tensors."""
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            norm = GlobalBatchNorm2d(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            norm.weight, norm.bias = child.weight, child.bias
            norm.running_mean, norm.running_var = child.running_mean, child.running_var
            norm.num_batches_tracked = child.num_batches_tracked
            norm.train(child.training)
            setattr(model, name, norm)
        else:
            synchronise_batch_norm(child)
    return model
