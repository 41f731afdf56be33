# SPDX-License-Identifier: MIT
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.data.scenes.camera import Camera, look


def test_a_point_worked_out_by_hand() -> None:
    # 90 degrees across 200 pixels: focal length 100. The point is 10 m ahead, 2 m left, 1 m above the camera.
    camera = look((0, 0, 1.5), horizontal_view=math.pi / 2, size=(100, 200))
    pixel, depth = camera.project(np.array([10.0, 2.0, 2.5]))
    np.testing.assert_allclose(pixel, [100 - 100 * 2 / 10, 50 - 100 * 1 / 10], atol=1e-9)
    assert depth == pytest.approx(10.0)


def test_turning_left_moves_the_world_right_and_looking_up_moves_it_down() -> None:
    point = np.array([10.0, 0.0, 1.5])
    left = look((0, 0, 1.5), yaw=0.1, horizontal_view=1.0, size=(100, 100)).project(point)[0]
    up = look((0, 0, 1.5), pitch=0.1, horizontal_view=1.0, size=(100, 100)).project(point)[0]
    focal = 50 / math.tan(0.5)
    np.testing.assert_allclose(left, [50 + focal * math.tan(0.1), 50], atol=1e-9)
    np.testing.assert_allclose(up, [50, 50 + focal * math.tan(0.1)], atol=1e-9)


@given(
    yaw=st.floats(-3, 3),
    pitch=st.floats(-0.5, 0.5),
    roll=st.floats(-0.3, 0.3),
    x=st.floats(-30, 30),
    y=st.floats(-30, 30),
    z=st.floats(-5, 5),
)
def test_pixel_and_depth_lead_back_to_the_point(
    yaw: float, pitch: float, roll: float, x: float, y: float, z: float
) -> None:
    camera = look((1, 2, 3), yaw=yaw, pitch=pitch, roll=roll, horizontal_view=1.2, size=(64, 96))
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(camera.position, [1, 2, 3], atol=1e-9)
    pixel, depth = camera.project(np.array([x, y, z]))
    if depth > 0.1:
        ray = np.linalg.inv(camera.intrinsics) @ np.array([*pixel, 1.0])
        np.testing.assert_allclose(
            camera.rotation.T @ (ray * depth - camera.translation), [x, y, z], atol=1e-6
        )


def test_wrong_shapes_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(\(2, 2\)"):
        Camera(np.eye(2), np.eye(3), np.zeros(3), (64, 64))
    with pytest.raises(ValueError, match=r"size=\(4, 64\)"):
        look((0, 0, 1), horizontal_view=1.0, size=(4, 64))
