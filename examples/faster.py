# SPDX-License-Identifier: MIT
"""The same model before and after ``intern25.optimize``: same outputs, less time."""

import time

import torch

import intern25

image = torch.rand(1, 3, 224, 224)
model = intern25.create_model("internimage_nano").eval()


def milliseconds(module: torch.nn.Module, runs: int = 5) -> float:
    module(image)
    start = time.perf_counter()
    for _ in range(runs):
        module(image)
    return (time.perf_counter() - start) / runs * 1e3


with torch.inference_mode():
    expected, before = model(image), milliseconds(model)
    fast = intern25.optimize(model)  # in place: the weights are never in memory twice
    difference = (fast(image) - expected).abs().max() / expected.abs().max()
    print(f"{before:.1f} ms -> {milliseconds(fast):.1f} ms, relative difference {difference:.1e}")
assert difference < 1e-4
