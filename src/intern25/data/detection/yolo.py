# SPDX-License-Identifier: MIT
"""YOLO text labels: ``class x y width height`` or ``class x1 y1 x2 y2 ...``, all as shares of the sides.

The classes are in ``data.yaml`` (the part of YAML that such files use is read here) or ``classes.txt``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from intern25.data.defects import Defect
from intern25.data.detection.annotations import AnnotationRows
from intern25.data.detection.images import RelativeAnnotations, StoredDetectionImages
from intern25.data.known_classes import named_classes
from intern25.data.trees import FileTree, SplitMissingError, is_image, split_of, without_split_folders

_PICTURE_FOLDERS = ("images", "obj_train_data")
_CLASS_FILES = ("classes.txt", "obj.names", "labels/classes.txt")


def yolo_roots(tree: FileTree) -> list[str]:
    """Folders that hold a data set of this form."""
    labels = _label_files(tree, (name for name in tree.names if is_image(name)))
    return sorted({_above_labels(str(PurePosixPath(name).parent)) for name in labels.values()})


def _above_labels(folder: str) -> str:
    parts = folder.split("/")
    if "labels" in parts:
        parts = parts[: parts.index("labels")]
    return without_split_folders("/".join(part for part in parts if part != "."), _PICTURE_FOLDERS)


def _label_files(tree: FileTree, pictures: Iterable[str]) -> dict[str, str]:
    """Label file of each picture that has one, in ``labels`` for ``images`` or beside it; by key."""
    keys = {_key(name) for name in pictures}
    texts = {_key(name): name for name in tree.names if name.endswith(".txt")}
    return {key: name for key, name in texts.items() if key in keys}


def read_yolo(tree: FileTree, split: str, images: FileTree | None = None) -> StoredDetectionImages:
    """Read one split; a picture without a label file has no objects.

    Args:
        tree: Files of the data set: ``images/<split>`` beside ``labels/<split>``, ``<split>/images``
            beside ``<split>/labels``, or each label file beside its picture.
        split: ``train``, ``val`` or ``test``.
        images: Where the pictures lie if not in ``tree``.

    Raises:
        ValueError: There is no such split, or the classes are not given.
    """
    pictures = images or tree
    names = _pictures_of_split(tree, pictures, split)
    classes = _class_list(tree)
    labels = _label_files(tree, names)
    defects: list[Defect] = []
    rows = []
    for name in names:
        label_file = labels.get(_key(name))
        rows.append(_Lines(label_file, len(classes), defects).read(tree) if label_file else AnnotationRows())
    if not any(row.ids for row in rows) and not defects:
        raise ValueError(
            f"none of the {len(names)} pictures of {tree.where} ({split}) has labels: for "
            f"images/{split}/x.jpg they are in labels/{split}/x.txt"
        )
    return StoredDetectionImages(
        where=f"{tree.where} ({split})",
        names=tuple(names),
        image_ids=tuple(PurePosixPath(name).stem for name in names),
        annotations=RelativeAnnotations(tuple(rows), tuple(names), pictures.store),
        classes=named_classes(classes),
        category_ids=tuple(range(len(classes))),
        store=pictures.store,
        defects=tuple(defects),
    )


def _key(name: str) -> str:
    """What a picture and its label file have in common."""
    path = PurePosixPath(name).with_suffix("")
    return "/".join("labels" if part == "images" else part for part in path.parts)


def _pictures_of_split(tree: FileTree, pictures: FileTree, split: str) -> list[str]:
    listed = _listed_pictures(tree, pictures, split)
    if listed:
        return listed
    names = [name for name in pictures.names if is_image(name)]
    found = sorted({split_of(name) or "no split" for name in names})
    wanted = "" if split == "train" and found == ["no split"] else split
    chosen = [name for name in names if split_of(name) == wanted]
    if not chosen:
        raise SplitMissingError(
            f"{tree.where} has no pictures of split {split!r}: found {', '.join(found) or 'no pictures'}; "
            "the folder must be named after the split, such as images/val"
        )
    return chosen


def _listed_pictures(tree: FileTree, pictures: FileTree, split: str) -> list[str]:
    """Pictures of a list file such as ``val2017.txt``, where there is one."""
    lists = [n for n in tree.names if "/" not in n and n.endswith(".txt") and split_of(n) == split]
    if not lists:
        return []
    lines = [line.strip() for line in tree.text(lists[0]).splitlines() if line.strip()]
    found = [pictures.find_image(line, split) for line in lines]
    return [name or line for name, line in zip(found, lines, strict=True)]


def _class_list(tree: FileTree) -> list[str]:
    for name in _CLASS_FILES:
        if name in tree.members:
            return [line.strip() for line in tree.text(name).splitlines() if line.strip()]
    yaml = [name for name in tree.names if "/" not in name and name.endswith((".yaml", ".yml"))]
    for name in yaml:
        names = yaml_names(tree.text(name))
        if names:
            return names
    raise ValueError(
        f"{tree.where} does not say its classes: write classes.txt with one name a line, or data.yaml with "
        "'names: [...]'"
    )


def yaml_names(text: str) -> list[str]:
    r"""Class names of a YOLO ``data.yaml``: ``names`` as an inline list, a block list or a numbered mapping.

    Example:
        >>> yaml_names("nc: 2\nnames:\n  0: cat\n  1: 'big dog'\n")
        ['cat', 'big dog']
    """
    lines = [
        line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    start = next((i for i, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        return []
    inline = _uncommented(lines[start].split(":", 1)[1])
    block = []
    for line in lines[start + 1 :]:
        if not line.startswith((" ", "-", "]", "}", "\t")) and not inline.startswith(("[", "{")):
            break
        block.append(_uncommented(line))
        if inline and line.rstrip().endswith(("]", "}")):
            break
    if inline:
        whole = inline if inline.endswith(("]", "}")) else inline + " ".join(block)
        return _ordered(_items(whole.strip("[]{} ")))
    return _ordered([item.removeprefix("- ").strip() for item in block])


def _uncommented(text: str) -> str:
    return text.split(" #", 1)[0].strip()


def _items(text: str) -> list[str]:
    """Split at commas outside quotes."""
    items, item, quote = [], "", ""
    for character in text:
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        if character == "," and not quote:
            items.append(item.strip())
            item = ""
        else:
            item += character
    return [*items, item.strip()] if item.strip() else items


def _ordered(items: list[str]) -> list[str]:
    """Names of plain items, or of ``number: name`` items by their number."""
    pairs = [item.split(":", 1) for item in items]
    if pairs and all(len(pair) == 2 and pair[0].strip().isdigit() for pair in pairs):
        items = [name for _, name in sorted((int(number), name) for number, name in pairs)]
    return [item.strip().strip("'\"") for item in items]


class _Lines:
    """The label file of one picture."""

    def __init__(self, file: str, num_classes: int, defects: list[Defect]) -> None:
        self.file = file
        self.num_classes = num_classes
        self.defects = defects

    def read(self, tree: FileTree) -> AnnotationRows:
        rows = AnnotationRows()
        for number, line in enumerate(tree.text(self.file).splitlines(), start=1):
            if line.strip():
                self._add(number, line.split(), rows)
        return rows

    def _add(self, number: int, fields: list[str], rows: AnnotationRows) -> None:
        try:
            label, *values = (float(field) for field in fields)
        except ValueError:
            self._defect(number, f"it is not numbers: {' '.join(fields)[:60]}")
            return
        is_polygon = len(values) >= 6 and len(values) % 2 == 0
        if len(values) != 4 and not is_polygon:
            self._defect(
                number, f"it has {len(fields)} fields, not class x y width height or class x1 y1 x2 y2 ..."
            )
        elif not all(math.isfinite(value) for value in (label, *values)):
            self._defect(number, "it has NaN or infinite values")
        elif label != int(label) or not 0 <= label < self.num_classes:
            self._defect(number, f"class {fields[0]} is not one of the {self.num_classes} classes (from 0)")
        elif max(values) > 2:
            self._defect(number, "it has pixels where shares of the sides (0..1) are expected")
        elif is_polygon:
            ring = np.array(values, dtype=np.float64)
            box = (*ring.reshape(-1, 2).min(axis=0).tolist(), *ring.reshape(-1, 2).max(axis=0).tolist())
            rows.add(box, int(label), number, mask=(ring,))
        else:
            x, y, width, height = values
            rows.add((x - width / 2, y - height / 2, x + width / 2, y + height / 2), int(label), number)

    def _defect(self, number: int, problem: str) -> None:
        self.defects.append(Defect(self.file, problem, "correct or remove the line", number))
