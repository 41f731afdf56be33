# SPDX-License-Identifier: MIT
"""Semantic, instance and panoptic segmentation on InternImage: UperNet, SegFormer head, Mask2Former."""
