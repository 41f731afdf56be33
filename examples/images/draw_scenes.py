# SPDX-License-Identifier: MIT
"""Draw a blood smear under the microscope and a street, our own pictures to detect and to segment."""

import math
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Color = tuple[int, int, int]
WIDTH, HEIGHT = 640, 480
SCALE = 3  # drawn larger and reduced: smooth edges


def canvas(color: Color) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), color)
    return picture, ImageDraw.Draw(picture)


def blob(chance: random.Random, x: float, y: float, radius: float, rough: float) -> list[tuple[float, float]]:
    """Outline of a roundish cell: a circle disturbed by three waves."""
    waves = [(k, chance.uniform(0, rough) / k, chance.uniform(0, 2 * math.pi)) for k in (2, 3, 5)]
    points = []
    for step in range(72):
        angle = 2 * math.pi * step / 72
        r = radius * (1 + sum(size * math.sin(k * angle + phase) for k, size, phase in waves))
        points.append((SCALE * (x + r * math.cos(angle)), SCALE * (y + r * math.sin(angle))))
    return points


def apart(chance: random.Random, count: int, radius: float) -> list[tuple[float, float]]:
    """Places that overlap little."""
    places: list[tuple[float, float]] = []
    for _ in range(4000):
        x, y = chance.uniform(20, WIDTH - 20), chance.uniform(20, HEIGHT - 20)
        if all(math.hypot(x - a, y - b) > 1.75 * radius for a, b in places):
            places.append((x, y))
        if len(places) == count:
            break
    return places


def blood_cells() -> Image.Image:
    """Red cells with a pale middle, one white cell with a lobed nucleus, platelets."""
    chance = random.Random(3)
    picture, pen = canvas((214, 210, 206))
    places = apart(chance, 19, 50)
    white = min(places, key=lambda place: math.hypot(place[0] - WIDTH * 0.4, place[1] - HEIGHT * 0.45))
    for x, y in places:
        if math.hypot(x - white[0], y - white[1]) < 110:
            continue
        radius = chance.uniform(42, 52)
        pen.polygon(blob(chance, x, y, radius, 0.07), fill=(182, 138, 136))
        pen.polygon(blob(chance, x, y, radius * 0.93, 0.07), fill=(196, 152, 146))
        if chance.random() < 0.6:
            pen.polygon(blob(chance, x, y, radius * 0.4, 0.1), fill=(214, 184, 176))
    pen.polygon(blob(chance, *white, 74, 0.05), fill=(203, 184, 203))
    for angle in (0.4, 1.9, 3.5, 5.2):
        x, y = white[0] + 30 * math.cos(angle), white[1] + 30 * math.sin(angle)
        pen.polygon(blob(chance, x, y, 28, 0.12), fill=(108, 84, 178))
        pen.polygon(blob(chance, x - 5, y - 4, 14, 0.15), fill=(134, 112, 198))
    for x, y in ((545, 395), (95, 415), (330, 330)):
        pen.polygon(blob(chance, x, y, 13, 0.15), fill=(168, 140, 190))
        pen.polygon(blob(chance, x, y, 8, 0.2), fill=(120, 92, 176))
    return picture


def street() -> Image.Image:
    """A road between houses with pavements, trees, lamps, a sign and cars, seen from a car."""
    chance = random.Random(5)
    picture, pen = canvas((150, 190, 225))
    s, horizon, vanishing = SCALE, 215 * SCALE, 330 * SCALE
    for row in range(horizon):
        share = row / horizon
        shade = (int(130 + 80 * share), int(175 + 45 * share), int(222 + 15 * share))
        pen.line((0, row, WIDTH * s, row), fill=shade)
    _houses(pen, chance, horizon, vanishing)
    pen.polygon(
        [(0, HEIGHT * s), (0, 300 * s), (vanishing, horizon), (WIDTH * s, 290 * s), (WIDTH * s, HEIGHT * s)],
        fill=(118, 112, 108),
    )
    pen.polygon(
        [
            (60 * s, HEIGHT * s),
            (vanishing - 12 * s, horizon + 4 * s),
            (vanishing + 12 * s, horizon + 4 * s),
            (600 * s, HEIGHT * s),
        ],
        fill=(72, 73, 77),
    )
    for near, far in ((0.02, 0.06), (0.1, 0.17), (0.25, 0.38), (0.52, 0.8)):
        top, bottom = horizon + near * 265 * s, horizon + far * 265 * s
        pen.polygon(
            [
                (vanishing - 14 * s * near, top),
                (vanishing + 14 * s * near, top),
                (vanishing + 14 * s * far, bottom),
                (vanishing - 14 * s * far, bottom),
            ],
            fill=(205, 205, 200),
        )
    for x, foot, height in ((528, 330, 190), (446, 268, 120), (110, 330, 200)):
        _tree(pen, chance, x * s, foot * s, height * s)
    for x, foot, height in ((590, 400, 330), (468, 285, 130), (205, 290, 150)):
        pen.rectangle(((x - 2) * s, (foot - height) * s, (x + 2) * s, foot * s), fill=(52, 54, 56))
        pen.rectangle(
            ((x - 22) * s, (foot - height) * s, (x + 2) * s, (foot - height + 4) * s), fill=(52, 54, 56)
        )
    for x, y, size, color in (
        (236, 258, 30, (38, 42, 60)),
        (196, 282, 52, (120, 30, 34)),
        (372, 236, 14, (200, 200, 205)),
        (420, 268, 40, (42, 66, 110)),
    ):
        _car(pen, x * s, y * s, size * s, color)
    for x, foot, height in ((560, 375, 70), (92, 362, 64), (505, 318, 44)):
        _person(pen, chance, x * s, foot * s, height * s)
    return picture


def _houses(pen: ImageDraw.ImageDraw, chance: random.Random, horizon: int, vanishing: int) -> None:
    """Two rows of fronts that run to the vanishing point."""
    for side in (-1, 1):
        near = 1.0
        color = (120, 92, 78)
        while near > 0.06:
            far = near * 0.72
            color = chance.choice(((120, 92, 78), (168, 152, 130), (98, 84, 76), (150, 120, 98)))
            left, right = (vanishing + side * share * 340 * SCALE for share in (near, far))
            tops = [horizon - share * 330 * SCALE for share in (near, far)]
            feet = [horizon + share * 88 * SCALE for share in (near, far)]
            pen.polygon([(left, tops[0]), (right, tops[1]), (right, feet[1]), (left, feet[0])], fill=color)
            _windows(pen, (left, right), tops, feet)
            near = far


def _windows(
    pen: ImageDraw.ImageDraw, sides: tuple[float, float], tops: list[float], feet: list[float]
) -> None:
    def at(across: float, down: float) -> tuple[float, float]:
        top, foot = (ends[0] + (ends[1] - ends[0]) * across for ends in (tops, feet))
        return sides[0] + (sides[1] - sides[0]) * across, top + (foot - top) * down

    for across in (0.12, 0.42, 0.72):
        for down in (0.1, 0.36, 0.62):
            corners = [at(across + a, down + d) for a, d in ((0, 0), (0.16, 0), (0.16, 0.15), (0, 0.15))]
            pen.polygon(corners, fill=(54, 60, 70), outline=(205, 200, 190))


def _tree(pen: ImageDraw.ImageDraw, chance: random.Random, x: float, foot: float, height: float) -> None:
    pen.rectangle((x - height * 0.03, foot - height * 0.6, x + height * 0.03, foot), fill=(62, 50, 40))
    for _ in range(1600):
        angle, reach = chance.uniform(0, 2 * math.pi), height * 0.36 * chance.random() ** 0.6
        a, b = x + reach * math.cos(angle), foot - height * 0.7 + 0.95 * reach * math.sin(angle)
        r, light = height * chance.uniform(0.006, 0.02), chance.randint(-30, 40)
        pen.ellipse((a - r, b - r, a + r, b + r), fill=(48 + light, 56 + light, 36 + light // 2))


def _car(pen: ImageDraw.ImageDraw, x: float, y: float, size: float, color: Color) -> None:
    """A car from behind, ``size`` wide; ``y`` is where it stands."""
    pen.ellipse((x - size * 0.6, y - size * 0.12, x + size * 0.6, y + size * 0.08), fill=(40, 40, 42))
    pen.rounded_rectangle(
        (x - size / 2, y - size * 0.45, x + size / 2, y - size * 0.04), size * 0.08, fill=color
    )
    pen.polygon(
        [
            (x - size * 0.44, y - size * 0.44),
            (x - size * 0.33, y - size * 0.78),
            (x + size * 0.33, y - size * 0.78),
            (x + size * 0.44, y - size * 0.44),
        ],
        fill=color,
    )
    pen.polygon(
        [
            (x - size * 0.36, y - size * 0.47),
            (x - size * 0.28, y - size * 0.72),
            (x + size * 0.28, y - size * 0.72),
            (x + size * 0.36, y - size * 0.47),
        ],
        fill=(92, 108, 120),
    )
    for side in (-1, 1):
        middle = x + side * size * 0.4
        pen.rectangle(
            (middle - size * 0.07, y - size * 0.36, middle + size * 0.07, y - size * 0.27), fill=(190, 40, 36)
        )
        pen.rectangle(
            (middle - size * 0.09, y - size * 0.08, middle + size * 0.06, y + size * 0.02), fill=(24, 24, 26)
        )
    pen.rectangle((x - size * 0.14, y - size * 0.25, x + size * 0.14, y - size * 0.18), fill=(228, 214, 130))


def _person(pen: ImageDraw.ImageDraw, chance: random.Random, x: float, foot: float, height: float) -> None:
    coat = chance.choice(((40, 42, 52), (96, 34, 38), (52, 62, 52)))
    for side in (-1, 1):
        pen.polygon(
            [(x, foot - height * 0.5), (x + side * height * 0.1, foot), (x + side * height * 0.03, foot)],
            fill=(36, 38, 46),
        )
    pen.rounded_rectangle(
        (x - height * 0.13, foot - height * 0.84, x + height * 0.13, foot - height * 0.4),
        height * 0.06,
        fill=coat,
    )
    r = height * 0.075
    pen.ellipse((x - r, foot - height, x + r, foot - height + 2 * r), fill=(190, 150, 128))


def finish(picture: Image.Image, seed: int, blur: float, grain: float) -> Image.Image:
    """Reduce, soften as a lens does, and add the sensor's grain and a little uneven light."""
    small = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(blur))
    values = np.asarray(small, dtype=np.float64)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    light = 1.03 - 0.12 * ((x / WIDTH - 0.5) ** 2 + (y / HEIGHT - 0.5) ** 2)
    noise = np.random.default_rng(seed).normal(0, grain, (HEIGHT, WIDTH, 3))
    return Image.fromarray((values * light[:, :, None] + noise).clip(0, 255).astype(np.uint8))


folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
folder.mkdir(parents=True, exist_ok=True)
for name, picture in (
    ("blood_cells", finish(blood_cells(), 1, 1.3, 3.0)),
    ("street", finish(street(), 2, 0.8, 4.0)),
):
    picture.save(folder / f"{name}.jpg", quality=90)
    print(folder / f"{name}.jpg")
