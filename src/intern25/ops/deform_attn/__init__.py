# SPDX-License-Identifier: MIT
"""Multi-scale deformable attention, the operator of Deformable DETR, DINO and Mask2Former."""

from intern25.ops.deform_attn.functional import deform_attn
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention

__all__ = ["MultiScaleDeformableAttention", "deform_attn"]
