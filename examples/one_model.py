# SPDX-License-Identifier: MIT
"""One model, one weight file, every task on one picture; the drawn sheet shows all of it.

python examples/one_model.py [PICTURE [DRAWN.png [MODEL]]]
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import intern25
from intern25.drawing.fonts import choose_font

IMAGES = Path(__file__).parent / "images"
QUESTIONS = (
    "此刻可以直行吗？",
    "前方限速多少？",
    "今天天气如何？",
    "What is the speed limit ahead?",
    "Is it night?",
)
THINGS = ["car", "bus", "person", "traffic light", "traffic sign"]
ALBUM = ["a sunny street with cars", "晴朗的街道", "red blood cells", "stop sign", "太极图"]

given = [*sys.argv[1:], *("", "", "")]
picture = given[0] or str(IMAGES / "junction.jpg")
drawn = given[1] or "one_model.png"
model = intern25.load(given[2] or "intern25_tiny")

answers = {question: model.ask(picture, question).text for question in QUESTIONS}
places = model.classify(picture, ["road junction", "bedroom", "forest"])
album = sorted(IMAGES.glob("*.jpg"))
nearest = model.compare([str(path) for path in album], ALBUM).argmax(axis=0)

lines = [f"describe: {model.caption(picture)}", f"描述：{model.caption(picture, 'zh')}"]
lines += [f"{question} {answer}" for question, answer in answers.items()]
lines += [f"which of {', '.join(places.names())}? {places.names()[0]}"]
lines += [f"find {text!r}: {album[row].name}" for text, row in zip(ALBUM, nearest.tolist(), strict=True)]
print("\n".join(lines))

found = model.detect(picture, THINGS)
pixels = model.segment(picture)
print(f"{len(found)} objects found; pixels of {', '.join(pixels.names_en[i] for i in pixels.present)}")

# The sheet: boxes, pixels, and the words below.
panels = [result.draw().convert("RGB") for result in (found, pixels)]
panels = [panel.resize((round(panel.width * 480 / panel.height), 480)) for panel in panels]
width, step = sum(panel.width for panel in panels), 24
sheet = Image.new("RGB", (width, 480 + step * ((len(lines) + 1) // 2 + 1)), "white")
for panel, left in zip(panels, (0, panels[0].width), strict=True):
    sheet.paste(panel, (left, 0))
font, _ = choose_font("zh", None, 16)
pen = ImageDraw.Draw(sheet)
for number, line in enumerate(lines):
    column, row = divmod(number, (len(lines) + 1) // 2)
    pen.text((16 + column * width // 2, 480 + step // 2 + step * row), line, font=font, fill="black")
sheet.save(drawn)
print(f"drawn: {drawn}")
