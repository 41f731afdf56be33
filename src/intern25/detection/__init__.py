# SPDX-License-Identifier: MIT
"""Object detection and instance segmentation: Mask R-CNN, Cascade Mask R-CNN and DINO on any backbone."""
