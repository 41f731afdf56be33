# SPDX-License-Identifier: MIT
"""Layers, losses and box geometry shared by the detectors and the segmenters."""
