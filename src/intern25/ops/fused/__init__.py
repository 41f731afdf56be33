# SPDX-License-Identifier: MIT
"""Inference-only kernels that run several layers in one pass; ``backbones/optimize`` builds the graph."""
