# SPDX-License-Identifier: MIT
"""Draw junction.jpg with the street-scene renderer: a light with a countdown, a speed limit, cars, a bus.

python examples/images/draw_junction.py [FOLDER]
"""

import sys
from pathlib import Path

from PIL import Image

from intern25.data.scenes.rendering import render
from intern25.data.scenes.world import front_camera, sample_scene

SEED = 9136
SIZE = (480, 640)

scene = sample_scene(SEED)
picture = Image.fromarray(render(scene, front_camera(scene, SIZE)).image)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
folder.mkdir(parents=True, exist_ok=True)
picture.save(folder / "junction.jpg", quality=90)
print(folder / "junction.jpg")
