# SPDX-License-Identifier: MIT
"""Train on a folder of pictures, one folder a class; here on drawn shapes. Argument: an output folder."""

import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

import intern25
from intern25.training.classification import train
from intern25.training.progress import console_reporter
from intern25.training.recipes import recipe_small

root = Path(sys.argv[1] if len(sys.argv) > 1 else "shapes")
for index in range(24):
    for name in ("ellipse", "rectangle"):
        picture = Image.new("RGB", (48, 48), (10 * index, 120, 250 - 10 * index))
        getattr(ImageDraw.Draw(picture), name)((6, 6, 24 + index % 18, 40), fill="white")
        path = root / "pictures" / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)

config = replace(
    recipe_small(data=str(root / "pictures"), output=str(root / "run")),
    epochs=2, batch_size=8, image_size=48, progressive=(), warmup_epochs=0.5,
)  # fmt: skip
result = train(config, reporter=console_reporter())
print(f"best top-1 {result.best_top1:.1%}")

predictor = intern25.load(result.output / "best.safetensors")
print(predictor.predict(root / "pictures" / "ellipse" / "0.png").to_json())
