# SPDX-License-Identifier: MIT
"""SegFormer's head against the formula of its paper, written out with the order of the levels."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from intern25.segmentation.segformer import SegFormer
from tests.segmentation.models import TINY_SEGFORMER
from tests.weights.samples import noisy


def test_the_head_is_the_papers() -> None:
    model = noisy(SegFormer(TINY_SEGFORMER)).double().eval()
    assert isinstance(model, SegFormer)
    tensors = model.decode_head.state_dict()

    def projected(x: torch.Tensor, name: str) -> torch.Tensor:
        weight, gain = tensors[f"{name}.conv.weight"][..., 0, 0], tensors[f"{name}.norm.weight"]
        variance = tensors[f"{name}.norm.running_var"] + 1e-5
        mixed = torch.einsum("oc,nchw->nohw", weight, x) - tensors[f"{name}.norm.running_mean"][:, None, None]
        scaled = mixed * (gain / variance.sqrt())[:, None, None] + tensors[f"{name}.norm.bias"][:, None, None]
        return scaled.clamp(min=0)

    features = [torch.randn(2, 16 * 2**i, 16 >> i, 24 >> i, dtype=torch.float64) for i in range(4)]
    levels = [
        F.interpolate(projected(x, f"projections.{i}"), size=(16, 24), mode="bilinear", align_corners=False)
        for i, x in enumerate(features)
    ]
    fused = projected(torch.cat(levels, dim=1), "fusion")
    weight, bias = tensors["classifier.conv.weight"][..., 0, 0], tensors["classifier.conv.bias"]
    expected = torch.einsum("oc,nchw->nohw", weight, fused) + bias[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(model.decode_head(features), expected, atol=1e-9, rtol=1e-9)
