# SPDX-License-Identifier: MIT
"""Operators of intern25; ``intern25.ops.dcnv3`` is the function."""

from intern25.ops.backends import Ready, Refusal, Status
from intern25.ops.dcnv3 import DCNv3, backends

# After the sub-package, so that the attribute ``dcnv3`` of this module is the function and not the package.
from intern25.ops.dcnv3.functional import dcnv3

__all__ = ["DCNv3", "Ready", "Refusal", "Status", "backends", "dcnv3"]
