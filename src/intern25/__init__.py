# SPDX-License-Identifier: MIT
"""INTERN-2.5 made real: InternImage and the multimodal generalist, on any machine.

Names load on first use, so importing the package is instant and touches no device, file or network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intern25._version import __version__

if TYPE_CHECKING:
    from intern25 import ops as ops
    from intern25.backbones.optimize import optimize as optimize
    from intern25.predictors import load as load
    from intern25.weights.catalog import list_models as list_models
    from intern25.weights.create import create_model as create_model
    from intern25.weights.load import load_checkpoint as load_checkpoint

__all__ = [
    "__version__",
    "create_model",
    "list_models",
    "load",
    "load_checkpoint",
    "ops",
    "optimize",
]

_HOME_OF = {
    "create_model": "intern25.weights.create",
    "list_models": "intern25.weights.catalog",
    "load": "intern25.predictors",
    "load_checkpoint": "intern25.weights.load",
    "optimize": "intern25.backbones.optimize",
}


def __getattr__(name: str) -> Any:
    """Import the home of a public name the first time it is asked for."""
    if name == "ops":
        return importlib.import_module("intern25.ops")
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'intern25' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
