# SPDX-License-Identifier: MIT
"""Pascal VOC xml: VOC2007 and VOC2012 as distributed, and folders of labelImg files.

Coordinates count pixels from 1 and include the last one, so a box over a whole picture of width W goes from 1
to W; here it goes from 0 to W.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from xml.etree import ElementTree

from intern25.data.class_names import class_names
from intern25.data.defects import Defect
from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.known_classes import named_classes
from intern25.data.trees import (
    FileTree,
    SplitMissingError,
    split_of,
    stored_image_size,
    without_split_folders,
)

_FOLDERS = ("annotations", "labels", "images", "jpegimages")


def voc_roots(tree: FileTree) -> list[str]:
    """Folders that hold a data set of this form."""
    parents = {str(PurePosixPath(name).parent) for name in tree.names if name.lower().endswith(".xml")}
    return sorted({without_split_folders("" if p == "." else p, _FOLDERS) for p in parents})


def read_voc(tree: FileTree, split: str, images: FileTree | None = None) -> StoredDetectionImages:
    """Read one split: that of ``ImageSets/Main``, else the xml files in a folder of the split's name.

    Args:
        tree: Files of the data set.
        split: ``train``, ``val``, ``test`` or ``trainval``.
        images: Where the pictures lie if not in ``tree``.

    Raises:
        ValueError: There is no such split, an xml is broken, or the classes of own data are not known.
    """
    files = _files_of_split(tree, split)
    parsed = [(name, _parse(f"{tree.where}/{name}", tree.read(name))) for name in files]
    reader = _VocReader(tree.where, _class_keys(tree, parsed), split, images or tree)
    for name, root in parsed:
        reader.add(name, root)
    return reader.result()


def _files_of_split(tree: FileTree, split: str) -> list[str]:
    xml = [name for name in tree.names if name.lower().endswith(".xml")]
    if not xml:
        raise ValueError(f"{tree.where} has no Pascal VOC xml files")
    list_file = f"ImageSets/Main/{split}.txt"
    if list_file in tree.members:
        stems = [line.split()[0] for line in tree.text(list_file).splitlines() if line.strip()]
        by_stem = {PurePosixPath(name).stem: name for name in xml}
        missing = [stem for stem in stems if stem not in by_stem]
        if missing:
            raise ValueError(
                f"{len(missing)} pictures of {tree.where}/{list_file} have no xml; the first is {missing[0]}"
            )
        return [by_stem[stem] for stem in stems]
    found = {split_of(name) for name in xml}
    wanted = "" if split == "train" and found == {""} else split
    chosen = [name for name in xml if split_of(name) == wanted]
    lists = [PurePosixPath(n).stem for n in tree.names if n.startswith("ImageSets/Main/") and "_" not in n]
    if not chosen or lists:
        have = sorted(lists) or sorted(word or "no split" for word in found)
        raise SplitMissingError(f"{tree.where} has no split {split!r}: found {', '.join(have)}")
    return chosen


def _parse(where: str, data: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"{where} is not valid XML: {error}; correct or remove it") from error


def _class_keys(tree: FileTree, parsed: list[tuple[str, ElementTree.Element]]) -> tuple[str, ...]:
    """Names of the classes: ``classes.txt``, the VOC classes, or all that occur, sorted.

    All splits count: a rare class that one of them lacks would make their labels differ.
    """
    if "classes.txt" in tree.members:
        return tuple(line.strip() for line in tree.text("classes.txt").splitlines() if line.strip())
    read = {name for name, _ in parsed}
    others = (name for name in tree.names if name.lower().endswith(".xml") and name not in read)
    found = set[str]().union(
        *(_names_in(root) for _, root in parsed), *map(_names_in, _parsable(tree, others))
    )
    voc = class_names("voc").en
    joined = {name.replace(" ", ""): name for name in voc}
    if found and all(name.replace(" ", "") in joined for name in found):
        return tuple(name.replace(" ", "") for name in voc)
    return tuple(sorted(found))


def _parsable(tree: FileTree, names: Iterable[str]) -> Iterator[ElementTree.Element]:
    """The xml of other splits; what is broken there is said when those are read."""
    for name in names:
        with contextlib.suppress(ElementTree.ParseError):
            yield ElementTree.fromstring(tree.read(name))


def _names_in(root: ElementTree.Element) -> set[str]:
    return {_text(item, "name") for item in root.iter("object")} - {""}


def _text(element: ElementTree.Element, key: str) -> str:
    return (element.findtext(key) or "").strip()


class _VocReader:
    """Collects the pictures of one split."""

    def __init__(self, where: str, keys: tuple[str, ...], split: str, images: FileTree) -> None:
        self.where = where
        self.keys = keys
        self.split = split
        self.images = images
        self.labels = {key: label for label, key in enumerate(keys)}
        self.names: list[str] = []
        self.ids: list[str] = []
        self.annotations: list[Annotation] = []
        self.defects: list[Defect] = []

    def add(self, xml: str, root: ElementTree.Element) -> None:
        """Take over the objects of one xml file."""
        stem = PurePosixPath(xml).stem
        found = self._picture(stem, _text(root, "filename"))
        rows = AnnotationRows()
        for number, item in enumerate(root.iter("object"), start=1):
            self._add_object(xml, number, item, rows)
        self.names.append(found or _text(root, "filename") or f"{stem}.jpg")
        self.ids.append(stem)
        self.annotations.append(rows.annotation(self._size(root, self.names[-1])))

    def _picture(self, stem: str, file_name: str) -> str | None:
        # labelImg keeps the name of a picture that was renamed later: the xml's own name comes first.
        suffixes = (PurePosixPath(file_name).suffix, ".jpg", ".jpeg", ".png", ".JPG", ".bmp")
        candidates = (*(stem + suffix for suffix in suffixes if suffix), file_name)
        found = (self.images.find_image(name, self.split) for name in candidates if name)
        return next((name for name in found if name), None)

    def _size(self, root: ElementTree.Element, name: str) -> tuple[int, int]:
        height, width = (root.findtext(f"size/{side}") or "" for side in ("height", "width"))
        if height.isdigit() and width.isdigit() and int(height) and int(width):
            return int(height), int(width)
        try:
            return stored_image_size(self.images.store, name)
        except ValueError:
            return 1, 1  # the check reports the missing picture

    def _add_object(self, xml: str, number: int, item: ElementTree.Element, rows: AnnotationRows) -> None:
        name = (
            _text(item, "name").replace(" ", "")
            if _text(item, "name") not in self.labels
            else _text(item, "name")
        )
        if name not in self.labels:
            problem, remedy = f"class {name!r} is not in classes.txt", "add it there or correct it"
            if not name:
                problem, remedy = "it has no name", "give it that of its class"
            self.defects.append(Defect(xml, problem, remedy, number))
            return
        box = _box(item)
        if box is None:
            self.defects.append(Defect(xml, "its bndbox lacks numbers", "correct it", number))
            return
        rows.add(box, self.labels[name], number, difficult=_text(item, "difficult") == "1")

    def result(self) -> StoredDetectionImages:
        """Return the split."""
        voc = class_names("voc")
        is_voc = self.keys == tuple(name.replace(" ", "") for name in voc.en)
        return StoredDetectionImages(
            where=f"{self.where} ({self.split})",
            names=tuple(self.names),
            image_ids=tuple(self.ids),
            annotations=tuple(self.annotations),
            classes=voc if is_voc else named_classes(self.keys),
            category_ids=self.keys,
            store=self.images.store,
            defects=tuple(self.defects),
        )


def _box(item: ElementTree.Element) -> tuple[float, float, float, float] | None:
    try:
        left, top, right, bottom = (
            float(_text(item, f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        return None
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    return left - 1, top - 1, right, bottom
