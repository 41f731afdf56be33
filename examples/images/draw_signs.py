# SPDX-License-Identifier: MIT
"""Draw the example pictures of this folder: a yin-yang and a stop sign, both our own."""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 480
SCALE = 4  # drawn larger and reduced: smooth edges


def background(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    ramp = Image.linear_gradient("L").resize((SIZE * SCALE, SIZE * SCALE))
    return Image.composite(Image.new("RGB", ramp.size, bottom), Image.new("RGB", ramp.size, top), ramp)


def yin_yang() -> Image.Image:
    picture = background((235, 232, 225), (205, 200, 190))
    pen, middle, radius = ImageDraw.Draw(picture), SIZE * SCALE // 2, SIZE * SCALE * 2 // 5
    dark, light = (25, 25, 28), (250, 250, 248)

    def disc(center_y: int, r: int, color: tuple[int, int, int]) -> None:
        pen.ellipse((middle - r, center_y - r, middle + r, center_y + r), fill=color)

    disc(middle, radius + 6 * SCALE, dark)
    disc(middle, radius, light)
    pen.pieslice((middle - radius, middle - radius, middle + radius, middle + radius), -90, 90, fill=dark)
    for side, color, eye in ((-1, light, dark), (1, dark, light)):
        disc(middle + side * radius // 2, radius // 2, color)
        disc(middle + side * radius // 2, radius // 7, eye)
    return picture


def stop_sign() -> Image.Image:
    picture = background((120, 165, 215), (200, 220, 235))
    pen, middle = ImageDraw.Draw(picture), SIZE * SCALE // 2
    unit = SIZE * SCALE // 48
    pen.rectangle((0, 42 * unit, SIZE * SCALE, SIZE * SCALE), fill=(95, 125, 70))
    pen.rectangle((middle - unit, 20 * unit, middle + unit, SIZE * SCALE), fill=(110, 112, 115))
    for radius, color in ((17, (245, 245, 245)), (16, (190, 30, 45))):
        pen.regular_polygon((middle, 20 * unit, radius * unit), 8, fill=color)
    font = ImageFont.load_default(9 * unit)
    pen.text(
        (middle, 20 * unit),
        "STOP",
        fill="white",
        font=font,
        anchor="mm",
        stroke_width=unit // 3,
        stroke_fill="white",
    )
    return picture


folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
folder.mkdir(parents=True, exist_ok=True)
for draw in (yin_yang, stop_sign):
    small = draw().resize((SIZE, SIZE), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.5))
    small.save(folder / f"{draw.__name__}.jpg", quality=92)
    print(folder / f"{draw.__name__}.jpg")
