# SPDX-License-Identifier: MIT
"""Pictures against rays shot at boxes, masks against boxes, and what must not depend on chance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from intern25.data.scenes.camera import Camera, look
from intern25.data.scenes.classes import OBJECT_CLASSES, SEMANTIC_CLASSES, SEMANTIC_OF_KIND, VOID
from intern25.data.scenes.config import SceneConfig
from intern25.data.scenes.rendering import MOST_OBJECTS, render
from intern25.data.scenes.scene import Mounting, Road, Scene, SceneObject, Scenery
from intern25.data.scenes.world import front_camera, sample_scene
from tests.data.scenes.conftest import Seen


def empty_scene(*objects: SceneObject, scenery: tuple[Scenery, ...] = ()) -> Scene:
    return Scene(
        seed=3,
        road=Road(kind="street"),
        objects=objects,
        scenery=scenery,
        weather="cloudy",
        time="day",
        ego_speed=0.0,
        mounting=Mounting(),
        sun=(0.5, 0.8),
    )


def bus(x: float, y: float, yaw: float = 0.0, color: str = "red") -> SceneObject:
    return SceneObject(kind="bus", center=(x, y, 1.55), size=(11.0, 2.5, 3.1), yaw=yaw, color=color)


def entry_depth(camera: Camera, row: int, column: int, thing: SceneObject, grow: float) -> float:
    """Distance along the ray of a pixel to an object's box, infinite where it misses (slabs, in a loop)."""
    ray = camera.rotation.T @ np.linalg.inv(camera.intrinsics) @ np.array([column + 0.5, row + 0.5, 1.0])
    cos, sin = math.cos(-thing.yaw), math.sin(-thing.yaw)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    origin = turn @ (camera.position - np.array(thing.center))
    direction = turn @ ray
    enter, leave = 0.0, math.inf
    for axis in range(3):
        half = 0.5 * thing.size[axis] + grow
        t0, t1 = sorted(((-half - origin[axis]) / direction[axis], (half - origin[axis]) / direction[axis]))
        enter, leave = max(enter, t0), min(leave, t1)
    return enter if enter < leave else math.inf


def owner(masks: list[NDArray[np.bool_]], row: int, column: int) -> int | None:
    found = [k for k, mask in enumerate(masks) if mask[row, column]]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_nearest_box_on_a_ray_owns_its_pixel() -> None:
    things = (bus(30, 3), bus(16, -3.5, color="blue"), bus(48, -1, yaw=math.pi / 2, color="green"))
    camera = look((0, 0, 1.6), yaw=0.02, pitch=0.02, roll=0.01, horizontal_view=0.9, size=(120, 160))
    view = render(empty_scene(*things), camera)
    masks = [np.zeros(camera.size, bool) for _ in things]
    for visible in view.objects:
        masks[visible.index] = visible.mask
    checked = 0
    for row in range(0, 120, 3):
        for column in range(0, 160, 3):
            # Rays that hit a box and a larger or smaller box alike are not at an edge.
            hits = []
            for grow in (-0.45, 0.25):
                depths = [entry_depth(camera, row, column, thing, grow) for thing in things]
                hits.append(None if min(depths) == math.inf else int(np.argmin(depths)))
            # The bodies of buses begin 0.35 m above the road.
            if hits[0] == hits[1]:
                assert owner(masks, row, column) == hits[0], (row, column)
                checked += 1
    assert checked > 1500
    assert {v.index for v in view.objects} == {0, 1, 2}


def test_masks_are_disjoint_and_boxes_are_tight(seen: Seen) -> None:
    for _, view in seen:
        total = np.zeros(view.semantic.shape, int)
        for visible in view.objects:
            total += visible.mask
            rows, columns = np.nonzero(visible.mask)
            tight = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert visible.box == tight
            assert 0 < visible.visibility <= 1
        assert total.max(initial=0) <= 1


def test_classes_of_masks_and_map_agree(seen: Seen) -> None:
    assert SEMANTIC_CLASSES.en[8] == "car"
    for scene, view in seen:
        assert view.semantic.max() <= VOID
        for visible in view.objects:
            thing = scene.objects[visible.index]
            assert OBJECT_CLASSES.en[visible.label] == thing.kind
            expected = 10 if thing.riding else SEMANTIC_OF_KIND[thing.kind]
            assert (view.semantic[visible.mask] == expected).all()


def test_boxes_lie_in_the_projection_of_the_solid(seen: Seen) -> None:
    checked = 0
    for scene, view in seen[:80]:
        for visible in view.objects:
            thing = scene.objects[visible.index]
            # Billboards turn to the camera, and near things reach behind it.
            if thing.kind not in ("car", "bus", "truck") or thing.center[0] < 8:
                continue
            corners = box_corners(thing)
            pixels, depth = view.camera.project(corners)
            assert depth.min() > 0
            low, high = pixels.min(axis=0) - 2, pixels.max(axis=0) + 2
            left, top, right, bottom = visible.box
            assert left >= low[0]
            assert top >= low[1]
            assert right <= high[0]
            assert bottom <= high[1]
            checked += 1
    assert checked > 100


def box_corners(thing: SceneObject) -> NDArray[np.float64]:
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    corners = []
    for a in (-0.5, 0.5):
        for b in (-0.5, 0.5):
            for c in (-0.5, 0.5):
                x, y, z = (s * k for s, k in zip(thing.size, (a, b, c), strict=True))
                corners.append([x * cos - y * sin, x * sin + y * cos, z])
    return np.array(corners) + np.array(thing.center)


def test_visibility_is_the_share_that_is_open() -> None:
    camera = look((0, 0, 1.6), horizontal_view=0.9, size=(128, 128))
    alone = render(empty_scene(bus(30, 0, yaw=math.pi / 2)), camera).objects[0]
    assert alone.visibility > 0.97
    # A nearer bus hides its right half.
    both = render(empty_scene(bus(30, 0, yaw=math.pi / 2), bus(15, -3.0)), camera)
    hidden = next(v for v in both.objects if v.index == 0)
    expected = hidden.mask.sum() / alone.mask.sum()
    assert 0.3 < expected < 0.9
    assert hidden.visibility == pytest.approx(expected, abs=0.04)
    # Half of it is outside the picture.
    cut = render(empty_scene(bus(30, 14.5, yaw=math.pi / 2)), camera).objects[0]
    assert 0.3 < cut.visibility < 0.8


def test_the_same_seed_gives_the_same_bytes_and_others_do_not() -> None:
    for seed in (5, 2**40 + 3):
        first, second = (render(sample_scene(seed), front_camera(seed)) for _ in range(2))
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.semantic, second.semantic)
    assert (render(sample_scene(6), front_camera(6)).image != first.image).any()


def test_global_random_state_is_neither_used_nor_changed() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = render(sample_scene(9), front_camera(9)).image
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, render(sample_scene(9), front_camera(9)).image)


def test_sizes_that_are_not_square(seen: Seen) -> None:
    scene, square = seen[1]
    wide = render(scene, front_camera(scene, (90, 160)))
    assert wide.image.shape == (90, 160, 3)
    assert wide.semantic.shape == (90, 160)
    assert {v.index for v in wide.objects} & {v.index for v in square.objects}


@pytest.mark.parametrize("yaw", [0.0, 1.2, 2.6, -1.9])
def test_a_camera_may_look_anywhere(yaw: float) -> None:
    for seed in range(6):
        view = render(sample_scene(seed), look((0.5, 0.2, 1.7), yaw=yaw, horizontal_view=1.2, size=(64, 96)))
        assert view.image.std() > 3


def test_the_ground_never_covers_the_sky() -> None:
    for seed in range(20):
        scene = dataclasses.replace(sample_scene(seed), objects=(), scenery=())
        camera = look((0, 0, 1.5), roll=0.05, yaw=0.1, horizontal_view=0.4 + 0.05 * seed, size=(96, 96))
        semantic = render(scene, camera).semantic
        for column in (8, 48, 88):
            column_classes = semantic[:, column]
            # The horizon is where rays are level.
            rays = np.array([[column + 0.5, row + 0.5, 1.0] for row in range(96)])
            up = rays @ np.linalg.inv(camera.intrinsics).T @ camera.rotation[:, 2]
            assert (column_classes[up > 0.02] == 0).all()
            assert (column_classes[up < -0.02] != 0).all()


def test_night_is_darker_than_day_and_fog_hides_the_distance() -> None:
    scene = sample_scene(12)
    camera = front_camera(scene)
    by_time = [
        render(dataclasses.replace(scene, time=t, weather="sunny"), camera).image.mean()
        for t in ("day", "night")
    ]
    assert by_time[1] < 0.6 * by_time[0]
    far = empty_scene(bus(70, 0, yaw=math.pi / 2, color="black"))
    camera = look((0, 0, 1.6), horizontal_view=0.5, size=(96, 96))
    contrast = []
    for weather in ("cloudy", "fog"):
        view = render(dataclasses.replace(far, weather=weather), camera)
        mask = view.objects[0].mask
        contrast.append(float(view.image[~mask][:2000].mean() - view.image[mask].mean()))
    assert contrast[1] < 0.5 * contrast[0]


def test_too_many_objects_are_refused() -> None:
    many = tuple(bus(20.0 + k, 0.0) for k in range(MOST_OBJECTS + 1))
    with pytest.raises(ValueError, match="245 objects"):
        render(empty_scene(*many), look((0, 0, 1.6), horizontal_view=0.9, size=(64, 64)))


def test_configuration_rules_the_world() -> None:
    config = SceneConfig(
        weather=(("snow", 1.0),), time=(("dusk", 1.0),), roads=(("tunnel", 1.0),), left_hand=1.0
    )
    for seed in range(5):
        scene = sample_scene(seed, config)
        assert (scene.weather, scene.time, scene.road.kind) == ("snow", "dusk", "tunnel")
        assert scene.road.left_hand
    with pytest.raises(ValueError, match=r"people=1\.5"):
        SceneConfig(people=1.5)
    with pytest.raises(ValueError, match="traffic="):
        SceneConfig(traffic=(1.0, 0.0))
    with pytest.raises(ValueError, match="weather="):
        SceneConfig(weather=())
