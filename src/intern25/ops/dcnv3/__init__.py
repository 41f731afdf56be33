# SPDX-License-Identifier: MIT
"""Deformable convolution v3, the operator of InternImage: one schema, three implementations."""

from intern25.ops.dcnv3.functional import dcnv3
from intern25.ops.dcnv3.module import DCNv3

__all__ = ["DCNv3", "dcnv3"]
