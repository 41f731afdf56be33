# SPDX-License-Identifier: MIT
"""How often what occurs in a world of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from intern25.data.scenes.classes import Time, Weather
from intern25.data.scenes.scene import RoadKind

T = TypeVar("T")
Weights = tuple[tuple[T, float], ...]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """Ranges and probabilities of a world; ``SceneConfig()`` is the default one.

    Raises:
        ValueError: A range is reversed or a probability outside 0..1.

    Example:
        >>> SceneConfig(weather=(("rain", 1.0),), time=(("night", 1.0),)).people
        0.55
    """

    roads: Weights[RoadKind] = (("street", 0.35), ("junction", 0.36), ("tunnel", 0.13), ("highway", 0.16))
    weather: Weights[Weather] = (
        ("sunny", 0.34),
        ("cloudy", 0.20),
        ("rain", 0.17),
        ("snow", 0.14),
        ("fog", 0.15),
    )
    time: Weights[Time] = (("day", 0.62), ("dusk", 0.13), ("night", 0.25))
    traffic: Range = (0.1, 1.0)
    """Density of vehicles, 0..1."""
    people: float = 0.55
    """Probability that there are people on the pavement."""
    animals: float = 0.2
    lights: float = 0.82
    """Probability of traffic lights at a junction."""
    boards: float = 0.34
    """Probability of a direction sign."""
    signs: float = 0.72
    """Probability of other signs."""
    curves: float = 0.35
    left_hand: float = 0.2
    """Probability of traffic that keeps left."""
    focus: float = 0.6
    """Probability that the camera's view is chosen for a light or sign to be read well."""
    close: float = 0.0
    """Probability that it is chosen to show any one thing close up, which is easier to learn from."""
    camera_height: Range = (1.2, 2.1)
    horizontal_view: Range = (0.80, 1.45)
    """Angle of view across the picture, radians, where it is not chosen for a sign."""
    far: float = 120.0
    """Distance up to which there are things, metres."""

    def __post_init__(self) -> None:
        for name in ("traffic", "camera_height", "horizontal_view"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}={(low, high)} is (low, high) with low <= high")
        for name in (
            "people",
            "animals",
            "lights",
            "boards",
            "signs",
            "curves",
            "left_hand",
            "focus",
            "close",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} is a probability in 0..1")
        for name in ("roads", "weather", "time"):
            pairs = getattr(self, name)
            if not pairs or min(weight for _, weight in pairs) < 0 or sum(weight for _, weight in pairs) <= 0:
                raise ValueError(f"{name}={pairs} needs pairs (value, weight) with a positive sum")


def weighted(r: Random, pairs: Sequence[tuple[T, float]]) -> T:
    """Draw one of the values, each with its weight."""
    left = r.random() * sum(weight for _, weight in pairs)
    for value, weight in pairs:
        left -= weight
        if left < 0:
            return value
    return pairs[-1][0]
