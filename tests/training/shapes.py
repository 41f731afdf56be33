"""A data set that a small network learns in minutes: coloured discs, squares and triangles on noise."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHAPES = ("disc", "square", "triangle")
COLOURS = ((220, 60, 50), (50, 190, 70), (60, 90, 230))
SIZE = (96, 128)


def shape_pixels(kind: int, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Pixels of one shape that fills its box."""
    left, top, right, bottom = box
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    across, down = (x - left) / (right - left), (y - top) / (bottom - top)
    if kind == 0:
        inside &= (across - 0.5) ** 2 + (down - 0.5) ** 2 <= 0.25
    elif kind == 2:
        inside &= np.abs(across - 0.5) <= down / 2
    return np.asarray(inside)


def draw_picture(seed: int) -> tuple[NDArray[np.uint8], list[tuple[int, tuple[int, int, int, int]]]]:
    """One picture and its objects, which do not overlap."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(90, 150, (*SIZE, 3)).astype(np.uint8)
    objects: list[tuple[int, tuple[int, int, int, int]]] = []
    for column in range(2):
        for row in range(2):
            if generator.random() < 0.25 and objects:
                continue
            side = int(generator.integers(24, 42))
            left = 64 * column + int(generator.integers(2, 62 - side))
            top = 48 * row + int(generator.integers(2, 46 - min(side, 42)))
            box = (left, top, left + side, top + min(side, 42))
            kind = int(generator.integers(0, 3))
            pixels[shape_pixels(kind, box)] = COLOURS[kind]
            objects.append((kind, box))
    return pixels, objects


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_detection(path: Path, *, train: int = 24, val: int = 8, masks: bool = True) -> Path:
    """A zip of COCO form."""
    with zipfile.ZipFile(path, "w") as archive:
        for split, seeds in (("train", range(train)), ("val", range(1000, 1000 + val))):
            rows: dict[str, Any] = {"images": [], "annotations": []}
            rows["categories"] = [{"id": i, "name": name} for i, name in enumerate(SHAPES, start=1)]
            for number, seed in enumerate(seeds, start=1):
                pixels, objects = draw_picture(seed)
                archive.writestr(f"shapes/images/{split}_{number}.png", png(pixels))
                rows["images"].append(
                    {"id": number, "file_name": f"{split}_{number}.png", "height": SIZE[0], "width": SIZE[1]}
                )
                for kind, box in objects:
                    rows["annotations"].append(annotation(len(rows["annotations"]), number, kind, box, masks))
            archive.writestr(f"shapes/instances_{split}.json", json.dumps(rows))
    return path


def annotation(
    count: int, image: int, kind: int, box: tuple[int, int, int, int], masks: bool
) -> dict[str, Any]:
    """One row of a COCO file."""
    left, top, right, bottom = box
    row: dict[str, Any] = {"id": count + 1, "image_id": image, "category_id": kind + 1, "iscrowd": 0}
    row["bbox"] = [left, top, right - left, bottom - top]
    pixels = shape_pixels(kind, box)
    row["area"] = int(pixels.sum())
    if masks:
        flat = pixels.ravel(order="F").astype(np.int8)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
        row["segmentation"] = {"size": list(SIZE), "counts": np.diff([0, *edges, flat.size]).tolist()}
    return row


def write_segmentation(path: Path, *, train: int = 24, val: int = 8) -> Path:
    """A zip of images/, masks/ and classes.txt; background is class 0."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("shapes/classes.txt", "\n".join(("background", *SHAPES)))
        for split, seeds in (("train", range(train)), ("val", range(1000, 1000 + val))):
            for number, seed in enumerate(seeds):
                pixels, objects = draw_picture(seed)
                mask = np.zeros(SIZE, dtype=np.uint8)
                for kind, box in objects:
                    mask[shape_pixels(kind, box)] = kind + 1
                archive.writestr(f"shapes/images/{split}/{number}.png", png(pixels))
                archive.writestr(f"shapes/masks/{split}/{number}.png", png(mask))
    return path
