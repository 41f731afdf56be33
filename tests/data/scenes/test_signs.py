# SPDX-License-Identifier: MIT
"""What lights and signs show, read from their pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import ImageFont

from intern25.data.scenes.camera import look
from intern25.data.scenes.classes import OBJECT_CLASSES
from intern25.data.scenes.lettering import Lettering, lettering
from intern25.data.scenes.rendering import VisibleObject, render
from intern25.data.scenes.scene import Destination, LampColor, LightState, SceneObject, SignFace
from intern25.data.scenes.sign_pictures import sign_texture
from intern25.data.scenes.signs import countdown_texture, light_size
from tests.data.scenes.test_rendering import empty_scene

CAMERA = look((0, 0, 4.0), horizontal_view=0.5, size=(128, 128))


def light(state: LightState) -> SceneObject:
    return SceneObject(
        kind="traffic light", center=(12.0, 0.0, 4.0), size=light_size(state), yaw=math.pi, light=state
    )


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize(("color", "place"), [("red", 0), ("yellow", 1), ("green", 2)])
def test_the_lit_lamp_is_at_its_place(color: LampColor, place: int, horizontal: bool) -> None:
    view = render(empty_scene(light(LightState(color=color, horizontal=horizontal))), CAMERA)
    (visible,) = view.objects
    assert OBJECT_CLASSES.en[visible.label] == "traffic light"
    left, top, right, bottom = (int(side) for side in visible.box)
    patch = view.image[top:bottom, left:right].astype(float).max(axis=2)
    along = patch.mean(axis=0 if horizontal else 1)
    third = len(along) / 3
    brightest = int(np.argmax([along[round(k * third) : round((k + 1) * third)].mean() for k in range(3)]))
    assert brightest == place
    strongest = view.image[top:bottom, left:right].reshape(-1, 3)[patch.argmax()]
    assert (strongest[0] > 200) == (color != "green")


def test_ten_digits_differ_and_two_digits_are_two() -> None:
    pictures = [countdown_texture(k, "red", 1.0).levels[0][..., 0] for k in range(10)]
    for a in range(10):
        for b in range(a):
            assert (pictures[a] != pictures[b]).any()
    both = countdown_texture(47, "red", 1.0).levels[0][..., 0]
    # The halves of the panel are the digits alone, moved to the side.
    single = {k: pictures[k][:, 13:28] for k in (4, 7)}
    np.testing.assert_array_equal(both[:, 4:18], single[4][:, :14])
    np.testing.assert_array_equal(both[:, 22:36], single[7][:, :14])


def test_the_head_is_left_of_its_countdown() -> None:
    view = render(empty_scene(light(LightState(color="green", countdown=8))), CAMERA)
    (visible,) = view.objects
    columns = np.nonzero((view.image[..., 1] > 180) & visible.mask)[1]
    middle = 0.5 * (visible.box[0] + visible.box[2])
    lamp, digit = columns[columns < middle - 4], columns[columns > middle]
    assert len(lamp) > 5
    assert len(digit) > 5


def test_signs_seen_from_behind_are_grey() -> None:
    face = SignFace(kind="no entry")

    def shown(yaw: float) -> tuple[VisibleObject, np.ndarray]:  # type: ignore[type-arg]
        sign = SceneObject(kind="traffic sign", center=(10, 0, 4), size=(1, 1, 1), yaw=yaw, sign=face)
        view = render(empty_scene(sign), CAMERA)
        return view.objects[0], view.image[view.objects[0].mask].astype(float).mean(axis=0)

    _, front = shown(math.pi)
    _, back = shown(0.0)
    assert front[0] > 2 * front[1]
    assert np.ptp(back) < 12


def test_direction_lines_are_from_top_to_bottom() -> None:
    lines = (Destination(place=0, turn="left"), Destination(place=1, turn="right"))
    texture = sign_texture(SignFace(kind="direction", destinations=lines), Lettering(), 0.0)
    picture = texture.levels[0][..., 0]
    rows = picture.shape[0] // 2
    # Arrows to the left stand at the left, arrows to the right at the right.
    upper, lower = picture[5 : rows - 3, 5:-5] > 200, picture[rows + 3 : -5, 5:-5] > 200
    assert upper[14:24, 2:36].mean() > 0.5
    assert upper[:, -6:].mean() < 0.1
    assert lower[14:24, -36:-2].mean() > 0.5
    assert lower[:, :6].mean() < 0.1


def test_without_a_font_boards_are_english_and_chinese_is_refused() -> None:
    assert not Lettering().has_chinese
    assert Lettering().mask("Kunming", 20).shape[0] == 20
    with pytest.raises(ValueError, match="needs a font"):
        Lettering().mask("昆明", 20)
    with pytest.raises(ValueError, match="cannot be read"):
        lettering("no-such-font.ttf")
    assert lettering(None) == Lettering()


def test_with_a_font_the_board_carries_chinese_too() -> None:
    name = next(
        (f for f in ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "simhei.ttf") if _is_there(f)), None
    )
    if name is None:
        pytest.skip("no Chinese font on this machine")
    face = SignFace(kind="direction", destinations=(Destination(place=0, turn="left"),))
    english = sign_texture(face, Lettering(), 0.0).levels[0]
    chinese = sign_texture(face, lettering(name), 0.0).levels[0]
    assert (english != chinese).any()
    assert lettering(name).mask("昆明", 24).mean() > 20


def _is_there(font: str) -> bool:
    try:
        ImageFont.truetype(font, 12)
    except OSError:
        return False
    return True
