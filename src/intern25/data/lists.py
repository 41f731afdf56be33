# SPDX-License-Identifier: MIT
"""The official list format: ``meta_data/train.txt`` and ``val.txt`` (or ``.txt.zip``), lines ``path label``.

Images lie under ``train/`` and ``val/`` beside ``meta_data``, or in ``train.zip`` and ``val.zip``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from intern25.data.labelled import LabelledImages, Splits
from intern25.data.stores import FolderStore, ImageStore, ZipStore


def has_lists(root: Path) -> bool:
    """Whether ``root`` is in the official list format."""
    return any(_list_file(root, split) is not None for split in ("train", "val"))


def read_lists(root: Path) -> Splits:
    """Read ``root`` in the official list format.

    Raises:
        ValueError: A list or an image is missing, or a line is not ``path label``.
    """
    entries = {split: _read_entries(root, split) for split in ("train", "val")}
    largest = max(label for split in entries.values() for _, label in split)
    seen = {split: {label for _, label in rows} for split, rows in entries.items()}
    only_val = sorted(seen["val"] - seen["train"])
    if only_val:
        raise ValueError(f"val.txt of {root} has labels that train.txt lacks, such as {only_val[:5]}")
    classes = tuple(str(label) for label in range(largest + 1))
    return Splits(*(_images_of(root, split, entries[split], classes) for split in ("train", "val")))


def _list_file(root: Path, split: str) -> Path | None:
    candidates = (root / "meta_data" / f"{split}.txt", root / "meta_data" / f"{split}.txt.zip")
    return next((path for path in candidates if path.is_file()), None)


def _read_entries(root: Path, split: str) -> list[tuple[str, int]]:
    path = _list_file(root, split)
    if path is None:
        raise ValueError(f"{root} has no meta_data/{split}.txt or meta_data/{split}.txt.zip")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(f"{split}.txt").decode()
    else:
        text = path.read_text(encoding="utf-8")
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not label.isdigit():
            raise ValueError(f"line {number} of {path} is not 'path label': {line!r}")
        entries.append((name, int(label)))
    if not entries:
        raise ValueError(f"{path} lists no images")
    return entries


def _images_of(
    root: Path, split: str, entries: list[tuple[str, int]], classes: tuple[str, ...]
) -> LabelledImages:
    """Locate the images of one list; names may repeat the split's folder."""
    archive = root / f"{split}.zip"
    store: ImageStore
    if archive.is_file():
        with zipfile.ZipFile(archive) as opened:
            members = set(opened.namelist())
        prefix = f"{split}/" if f"{split}/{entries[0][0]}" in members else ""
        store = ZipStore(archive, prefix)
        missing = [name for name, _ in entries if prefix + name not in members]
    else:
        folder = root / split if (root / split / entries[0][0]).is_file() else root
        store = FolderStore(folder)
        missing = [name for name, _ in entries if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{len(missing)} images of {split}.txt are not under {root}; the first is {missing[0]}"
        )
    return LabelledImages(
        tuple(name for name, _ in entries), tuple(label for _, label in entries), classes, store
    )
