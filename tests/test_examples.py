# SPDX-License-Identifier: MIT
"""Every example runs, in a folder of its own, and stays short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import intern25
from tests.small_detector import save_mask_rcnn
from tests.small_model import save_small_model

PACKAGE_PARENT = Path(intern25.__file__).parents[1]
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

ARGUMENTS = {
    "classify.py": ["small.safetensors", "drawn"],
    "detect.py": ["detector.safetensors", str(EXAMPLES / "images" / "stop_sign.jpg")],
    "fine_tune.py": ["shapes"],
    "sam_prompts.py": ["detector.safetensors", str(EXAMPLES / "images" / "stop_sign.jpg")],
}
EXPECTED = {
    "classify.py": ("yin_yang.jpg: ", " / "),
    "detect.py": ("stop_sign.jpg: ", " objects"),
    "faster.py": ("relative difference",),
    "features.py": ("(1, 128, 10, 14)",),
    "fine_tune.py": ("best top-1", '"name_en": "ellipse"'),
    "one_model.py": ("describe: ", "描述：", "此刻可以直行吗？ ", "objects found", "drawn: one_model.png"),
    "sam_prompts.py": ("box prompts for a picture of 480 x 480",),
    "dcnv3_operator.py": ("reference", "average pool"),
    "weights.py": ("猫", "official layout"),
}


def test_every_example_is_expected() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name: str, tmp_path: Path) -> None:
    if name == "fine_tune.py":
        pytest.importorskip("accelerate")
    save_small_model(tmp_path / "small.safetensors")
    if "detector.safetensors" in ARGUMENTS.get(name, []):
        save_mask_rcnn(tmp_path / "detector.safetensors")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *ARGUMENTS.get(name, [])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(PACKAGE_PARENT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for text in EXPECTED[name]:
        assert text in done.stdout
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 45


def test_the_drawing_scripts_draw_the_pictures_in_the_repository(tmp_path: Path) -> None:
    for script in ("draw_signs.py", "draw_scenes.py", "draw_junction.py"):
        subprocess.run(
            [sys.executable, str(EXAMPLES / "images" / script), str(tmp_path)], check=True, timeout=120
        )
    for path in (EXAMPLES / "images").glob("*.jpg"):
        # Another JPEG library may differ by a few levels; fonts come with Pillow.
        stored, drawn = Image.open(path).convert("L"), Image.open(tmp_path / path.name).convert("L")
        assert stored.size == drawn.size
        levels = zip(stored.resize((24, 24)).tobytes(), drawn.resize((24, 24)).tobytes(), strict=True)
        assert max(abs(a - b) for a, b in levels) <= 8
