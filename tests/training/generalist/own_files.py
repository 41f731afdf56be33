# SPDX-License-Identifier: MIT
"""A user's data of each kind, written into folders: red and blue pictures with all that is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def picture(path: Path, color: str, seed: int, size: tuple[int, int] = (48, 64)) -> None:
    """A noisy picture of one colour, (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-20, 20, (*size, 3))
    Image.fromarray(np.clip(np.array(COLORS[color]) + noise, 0, 255).astype(np.uint8)).save(path)


def colors(count: int) -> list[tuple[str, str]]:
    """File names and colours, in turn."""
    return [(f"{index}.png", tuple(COLORS)[index % 2]) for index in range(count)]


def classes(root: Path, count: int = 10) -> Path:
    """A folder for each class."""
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / color / name, color, seed)
    return root


def captions(root: Path, count: int = 10) -> Path:
    """``captions.json``, a list."""
    rows = []
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / "images" / name, color, seed)
        rows.append({"image": f"images/{name}", "caption": f"a {color} wall", "language": "en"})
    (root / "captions.json").write_text(json.dumps(rows))
    return root


def questions(root: Path, count: int = 10) -> Path:
    """``questions.jsonl``."""
    rows = []
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / "images" / name, color, seed)
        rows.append({"image": name, "question": "what color is it", "answer": color})
    (root / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


def statements(root: Path, count: int = 10) -> Path:
    """``statements.jsonl``."""
    rows = []
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / "images" / name, color, seed)
        rows.append({"image": name, "statement": "it is red", "label": color == "red"})
    (root / "statements.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


def words(root: Path, count: int = 10) -> Path:
    """``labels.tsv``."""
    lines = ["file\ttext"]
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / name, color, seed)
        lines.append(f"{name}\t{color}")
    (root / "labels.tsv").write_text("\n".join(lines) + "\n")
    return root


def texts(root: Path, count: int = 10) -> Path:
    """``texts.txt``, a sentence a line in either language."""
    root.mkdir(parents=True, exist_ok=True)
    lines = [f"第{index}面墙是红色的" if index % 2 else f"wall {index} is blue" for index in range(count)]
    (root / "texts.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def boxes(root: Path, count: int = 10) -> Path:
    """YOLO: ``images``, ``labels`` and ``classes.txt``."""
    (root / "labels").mkdir(parents=True)
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / "images" / name, color, seed)
        (root / "labels" / name.replace(".png", ".txt")).write_text(f"{seed % 2} 0.5 0.5 0.4 0.6\n")
    (root / "classes.txt").write_text("red\nblue\n")
    return root


def masks(root: Path, count: int = 10) -> Path:
    """``images``, ``masks`` and ``classes.txt``."""
    (root / "masks").mkdir(parents=True)
    for seed, (name, color) in enumerate(colors(count)):
        picture(root / "images" / name, color, seed)
        mask = np.full((48, 64), seed % 2, dtype=np.uint8)
        Image.fromarray(mask).save(root / "masks" / name)
    (root / "classes.txt").write_text("red\nblue\n")
    return root
