# SPDX-License-Identifier: MIT
"""Multi-scale features for a head of your own: maps at strides 4, 8, 16 and 32."""

import torch

import intern25

backbone = intern25.create_model("internimage_nano", features_only=True, out_indices=(1, 2, 3)).eval()
print("channels", backbone.feature_info.channels())

with torch.no_grad():
    for feature in backbone(torch.rand(1, 3, 160, 224)):
        print(tuple(feature.shape))
