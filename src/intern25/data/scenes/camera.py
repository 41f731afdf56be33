# SPDX-License-Identifier: MIT
"""A pinhole camera in the world of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rows: right, down, forward of a camera that looks along the ego's x, in ego coordinates.
_LEVEL = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Camera:
    r"""A pinhole camera without distortion.

    .. math:: z\,(u, v, 1)^\top = K (R\,p + t)

    Convention:
        Ego frame: x forward, y left, z up, metres, origin on the road below the camera car. Camera frame: x
        right, y down, z forward. Pixel (row i, column j) covers ``[j, j+1) x [i, i+1)``.
    """

    intrinsics: Floats
    """K, ``(3, 3)``."""
    rotation: Floats
    """R, camera from ego, ``(3, 3)``."""
    translation: Floats
    """t, camera from ego, ``(3,)``."""
    size: tuple[int, int]
    """Height and width of the picture."""

    def __post_init__(self) -> None:
        shapes = (self.intrinsics.shape, self.rotation.shape, self.translation.shape)
        if shapes != ((3, 3), (3, 3), (3,)):
            raise ValueError(f"intrinsics, rotation, translation are (3, 3), (3, 3), (3,), not {shapes}")
        if min(self.size) < 8:
            raise ValueError(f"a picture of size={self.size} is too small; 8x8 is the least")

    @property
    def position(self) -> Floats:
        """Where the camera is, in the ego frame, ``(3,)``."""
        return np.asarray(-self.rotation.T @ self.translation)

    @property
    def forward(self) -> Floats:
        """Unit vector along the optical axis, in the ego frame, ``(3,)``."""
        return np.asarray(self.rotation[2])

    def project(self, points_ego: Floats) -> tuple[Floats, Floats]:
        """Project points into the picture.

        Args:
            points_ego: ``(..., 3)``, metres.

        Returns:
            Pixels ``(..., 2)`` as (x, y), and depths ``(...)`` along the optical axis. Pixels of points
            at depth 0 or behind the camera mean nothing.
        """
        in_camera = points_ego @ self.rotation.T + self.translation
        depth = in_camera[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        on_plane = (in_camera / safe[..., None]) @ self.intrinsics.T
        return on_plane[..., :2], depth


def look(
    position: tuple[float, float, float],
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    horizontal_view: float,
    size: tuple[int, int],
) -> Camera:
    """Build a camera from where it is and where it looks.

    Args:
        position: In the ego frame, metres.
        yaw: Turn to the left, radians.
        pitch: Turn upwards, radians.
        roll: Turn of the camera clockwise about its axis, radians.
        horizontal_view: Angle of view across the width, radians.
        size: Height and width.

    Example:
        >>> camera = look((0, 0, 1.5), horizontal_view=1.0, size=(128, 128))
        >>> camera.project(np.array([10.0, 0.0, 1.5]))[0].tolist()
        [64.0, 64.0]
    """
    height, width = size
    focal = 0.5 * width / math.tan(0.5 * horizontal_view)
    intrinsics = np.array([[focal, 0, 0.5 * width], [0, focal, 0.5 * height], [0, 0, 1]])
    cos, sin = math.cos(yaw), math.sin(yaw)
    unyaw = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    cos, sin = math.cos(pitch), math.sin(pitch)
    # In camera axes: looking up moves the world down.
    unpitch = np.array([[1.0, 0, 0], [0, cos, sin], [0, -sin, cos]])
    cos, sin = math.cos(roll), math.sin(roll)
    unroll = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    rotation = unroll @ unpitch @ _LEVEL @ unyaw
    return Camera(intrinsics, rotation, -rotation @ np.asarray(position, np.float64), size)
