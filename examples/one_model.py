# SPDX-License-Identifier: MIT
"""One model, one weight file, every task on one picture; the drawn sheet shows all of it.

python examples/one_model.py [PICTURE]
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import intern25
from intern25.drawing.fonts import choose_font

IMAGES = Path(__file__).parent / "images"
QUESTIONS = ["此刻可以直行吗？", "前方限速多少？", "今天天气如何？", "Is it night?"]
THINGS = ["car", "bus", "person", "traffic light", "traffic sign"]
ALBUM = ["a sunny street with cars", "晴朗的街道", "red blood cells", "stop sign", "太极图"]

picture = sys.argv[1] if len(sys.argv) > 1 else str(IMAGES / "junction.jpg")
model = intern25.load("intern25_tiny")

lines = [f"describe: {model.caption(picture)}", f"描述：{model.caption(picture, 'zh')}"]
lines += [f"{question} {model.ask(picture, question)}" for question in QUESTIONS]
places = model.classify(picture, ["road junction", "bedroom", "forest"]).names()
lines.append(f"which of {', '.join(places)}? {places[0]}")
album = sorted(IMAGES.glob("*.jpg"))
nearest = model.compare([str(path) for path in album], ALBUM).argmax(axis=0)
lines += [f"find {text!r}: {album[row].name}" for text, row in zip(ALBUM, nearest, strict=True)]
found, pixels = model.detect(picture, THINGS), model.segment(picture)
print("\n".join([*lines, f"{len(found)} objects found; pixels of {len(pixels.present)} classes"]))

# The sheet: boxes, pixels, and the words below in two columns.
panels = [result.draw().convert("RGB") for result in (found, pixels)]
panels = [panel.resize((round(panel.width * 480 / panel.height), 480)) for panel in panels]
width, half = sum(panel.width for panel in panels), (len(lines) + 1) // 2
sheet = Image.new("RGB", (width, 504 + 24 * half), "white")
pen, (font, _) = ImageDraw.Draw(sheet), choose_font("zh", None, 16)
for panel, left in zip(panels, (0, panels[0].width), strict=True):
    sheet.paste(panel, (left, 0))
for number, line in enumerate(lines):
    pen.text((16 + number // half * width // 2, 492 + 24 * (number % half)), line, font=font, fill="black")
sheet.save("one_model.png")
print("drawn: one_model.png")
