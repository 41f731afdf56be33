# SPDX-License-Identifier: MIT
"""DCNv3 by itself: with zero offsets and uniform weights it is an average over the window."""

import torch
import torch.nn.functional as F

from intern25 import ops

for name, status in ops.backends().items():
    print(f"{name:<10} {status}")

x = torch.rand(1, 14, 14, 32)  # channels last
groups, points = 2, 9
offset = torch.zeros(1, 14, 14, groups * points * 2)
mask = torch.full((1, 14, 14, groups * points), 1 / points)

y = ops.dcnv3(x, offset, mask, kernel_size=3, padding=1, groups=groups)
average = F.avg_pool2d(x.permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)
print("largest difference from an average pool", (y - average).abs().max().item())
assert torch.allclose(y, average, atol=1e-5)
