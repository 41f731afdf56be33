"""Small data sets written for a test, as a folder or as a zip archive."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Files = Mapping[str, bytes | str]


def png(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def picture(seed: int, size: tuple[int, int] = (32, 40)) -> bytes:
    """A png of noise, ``size`` is (height, width)."""
    return png(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8))


def write_files(root: Path, files: Files, *, zipped: bool = False, name: str = "set") -> Path:
    """Write files and return the folder or archive that holds them."""
    if zipped:
        path = root / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file, data in files.items():
                archive.writestr(file, data)
        return path
    for file, data in files.items():
        path = root / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return root / name


def coco_document(**changes: Any) -> dict[str, Any]:
    """Two pictures of 32 x 40 with three objects; category ids have a gap."""
    document = {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 32, "width": 40},
            {"id": 9, "file_name": "b.png", "height": 32, "width": 40},
        ],
        "categories": [{"id": 5, "name": "tree"}, {"id": 2, "name": "hut"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [4, 2, 10, 6], "area": 42.0, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 40, 32], "iscrowd": 1},
            {"id": 3, "image_id": 9, "category_id": 2, "bbox": [1.5, 2.5, 3, 4]},
        ],
    }
    return {**document, **changes}


def coco_files(document: dict[str, Any] | None = None, split: str = "train") -> dict[str, bytes | str]:
    return {
        f"annotations/instances_{split}2017.json": json.dumps(document or coco_document()),
        f"{split}2017/a.png": picture(0),
        f"{split}2017/b.png": picture(1),
    }
