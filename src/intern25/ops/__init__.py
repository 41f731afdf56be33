# SPDX-License-Identifier: MIT
"""Operators of intern25; ``intern25.ops.dcnv3`` and ``intern25.ops.deform_attn`` are the functions."""

from intern25.ops.backends import Ready, Refusal, Status
from intern25.ops.dcnv3 import DCNv3
from intern25.ops.dcnv3.dispatch import DISPATCHER

# After the sub-packages, so that these attributes of this module are the functions and not the packages.
from intern25.ops.dcnv3.functional import dcnv3
from intern25.ops.deform_attn import MultiScaleDeformableAttention
from intern25.ops.deform_attn.functional import deform_attn

__all__ = [
    "DCNv3",
    "MultiScaleDeformableAttention",
    "Ready",
    "Refusal",
    "Status",
    "backends",
    "dcnv3",
    "deform_attn",
]


def backends() -> dict[str, Status]:
    """Every implementation of the operators on this machine: ready, or the reason why not.

    All operators have the same implementations, from one native library and one Triton.

    Example:
        >>> sorted(backends())
        ['cpu', 'reference', 'triton']
    """
    return DISPATCHER.backends()
