# SPDX-License-Identifier: MIT
"""Image folders, and zip archives of the same layouts read in place.

Layouts, tried in this order on the list of file names:

1. ``labels.csv`` with the columns ``file,class,split``, or ``class_id`` for numbered classes;
2. ``train/<class>/...`` and ``val/<class>/...`` (also ``valid``, ``validation``, ``test``);
3. ``<class>/...``: one folder a class, the validation split is cut off by a seed.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path, PurePosixPath

from intern25.data.labelled import LabelledImages, Splits, split_by_seed
from intern25.data.stores import FolderStore, ImageStore, ZipStore

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"})
TRAIN_NAME = "train"
VALIDATION_NAMES = ("val", "valid", "validation", "test")
LAYOUT_HELP = (
    "expected train/<class>/<image> and val/<class>/<image>, or <class>/<image>, or a labels.csv with the "
    "columns file,class,split"
)
_CLASS_COLUMNS = ("class", "class_id")


def read_folder(root: Path, *, validation_fraction: float, seed: int) -> Splits:
    """Read an image folder in any layout of this module."""
    names: list[str] = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        relative = Path(folder).relative_to(root)
        names.extend((relative / file).as_posix() for file in files)
    return _read_layout(str(root), sorted(names), FolderStore(root), validation_fraction, seed)


def read_zip(path: Path, *, validation_fraction: float, seed: int) -> Splits:
    """Read a zip archive in any layout of this module, without unpacking it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a readable zip archive: {error}") from error
    prefix = _shared_folder(names)
    store = ZipStore(path, prefix)
    return _read_layout(str(path), [n[len(prefix) :] for n in names], store, validation_fraction, seed)


def _shared_folder(names: list[str]) -> str:
    """The one top folder of all names, or nothing; the folder of a split is not taken off."""
    tops = {name.split("/", 1)[0] + "/" for name in names}
    if len(tops) != 1 or not all("/" in name for name in names):
        return ""
    (top,) = tops
    return "" if top[:-1] in (TRAIN_NAME, *VALIDATION_NAMES) else top


def _read_layout(
    where: str, names: list[str], store: FolderStore | ZipStore, validation_fraction: float, seed: int
) -> Splits:
    if "labels.csv" in names:
        return _read_labels_csv(where, set(names), store)
    images = [name for name in names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise ValueError(f"no images in {where}; {LAYOUT_HELP}")
    tops = {name.split("/", 1)[0] for name in images if "/" in name}
    validation = next((name for name in VALIDATION_NAMES if name in tops), None)
    if TRAIN_NAME in tops and validation is not None:
        train = _read_classes(f"{where}/{TRAIN_NAME}", f"{TRAIN_NAME}/", images, store)
        val = _read_classes(f"{where}/{validation}", f"{validation}/", images, store)
        check_same_classes(where, train.classes, val.classes)
        return Splits(train, val)
    if tops <= {TRAIN_NAME, *VALIDATION_NAMES}:
        missing = "train" if validation is not None else "val"
        raise ValueError(
            f"{where} has no {missing} split: found only {sorted(tops) or 'loose images'}; {LAYOUT_HELP}"
        )
    return split_by_seed(_read_classes(where, "", images, store), validation_fraction, seed)


def _read_classes(where: str, prefix: str, names: list[str], store: ImageStore) -> LabelledImages:
    """Images under ``prefix``; the next folder of the name is the class."""
    inside = [name for name in names if name.startswith(prefix)]
    loose = [name for name in inside if "/" not in name[len(prefix) :]]
    if loose:
        raise ValueError(f"{where} holds images outside class folders, such as {loose[0]}; {LAYOUT_HELP}")
    folders = [name[len(prefix) :].split("/", 1)[0] for name in inside]
    classes = tuple(sorted(set(folders)))
    index = {name: position for position, name in enumerate(classes)}
    return LabelledImages(tuple(inside), tuple(index[folder] for folder in folders), classes, store)


def _read_labels_csv(where: str, names: set[str], store: FolderStore | ZipStore) -> Splits:
    text = store.read("labels.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    column = next((name for name in _CLASS_COLUMNS if rows and name in rows[0]), "class")
    if not rows or not {"file", column, "split"} <= set(rows[0]):
        raise ValueError(f"labels.csv of {where} must have the columns file,class,split and at least one row")
    missing = [(line, row["file"]) for line, row in enumerate(rows, start=2) if row["file"] not in names]
    if missing:
        line, file = missing[0]
        raise ValueError(
            f"{len(missing)} files named in labels.csv are not in {where}; the first is {file} (line {line})"
        )
    found = {row["split"] for row in rows}
    validation = next((name for name in VALIDATION_NAMES if name in found), None)
    if TRAIN_NAME not in found or validation is None:
        raise ValueError(f"labels.csv of {where} must have the splits train and val, found {sorted(found)}")
    sets = {
        split: _in_order(column, {row[column] for row in rows if row["split"] == split})
        for split in (TRAIN_NAME, validation)
    }
    check_same_classes(where, sets[TRAIN_NAME], sets[validation])
    classes = sets[TRAIN_NAME]
    index = {name: position for position, name in enumerate(classes)}

    def images_of(split: str) -> LabelledImages:
        chosen = [row for row in rows if row["split"] == split]
        files = tuple(row["file"] for row in chosen)
        return LabelledImages(files, tuple(index[row[column]] for row in chosen), classes, store)

    return Splits(images_of(TRAIN_NAME), images_of(validation))


def _in_order(column: str, classes: set[str]) -> tuple[str, ...]:
    """Classes sorted by name, class ids by number."""
    if column == "class_id" and all(name.isdecimal() for name in classes):
        return tuple(sorted(classes, key=lambda name: (int(name), name)))
    return tuple(sorted(classes))


def check_same_classes(where: str, train: tuple[str, ...], val: tuple[str, ...]) -> None:
    """Refuse splits whose class names differ, naming the differences."""
    if train == val:
        return
    only_train, only_val = sorted(set(train) - set(val)), sorted(set(val) - set(train))
    raise ValueError(
        f"the splits of {where} have different classes: only in train {only_train[:5]} ({len(only_train)}), "
        f"only in val {only_val[:5]} ({len(only_val)}); every class needs images in both"
    )
