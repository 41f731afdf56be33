# SPDX-License-Identifier: MIT
"""Open a detection data set from a path, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from intern25.data.detection.coco import coco_roots, read_coco, read_coco_file
from intern25.data.detection.crowdhuman import crowdhuman_roots, read_crowdhuman
from intern25.data.detection.images import StoredDetectionImages
from intern25.data.detection.joining import different_classes, joined
from intern25.data.detection.openimages import openimages_roots, read_openimages
from intern25.data.detection.voc import read_voc, voc_roots
from intern25.data.detection.yolo import read_yolo, yolo_roots
from intern25.data.holding_out import hold_out
from intern25.data.trees import FileTree, SplitMissingError, open_tree, split_name, split_of

DetectionFormat = Literal["auto", "coco", "lvis", "objects365", "openimages", "voc", "yolo", "crowdhuman"]
Roots = Callable[[FileTree], list[str]]
Reader = Callable[[FileTree, str, FileTree | None], StoredDetectionImages]

# Asked in this order; a folder counts for the first format that finds it.
_FORMATS: dict[str, tuple[Roots, Reader]] = {
    "crowdhuman": (crowdhuman_roots, read_crowdhuman),
    "openimages": (openimages_roots, read_openimages),
    "coco": (coco_roots, read_coco),
    "voc": (voc_roots, read_voc),
    "yolo": (yolo_roots, read_yolo),
}
# Data sets that are distributed in another one's form.
_SAME_FORM = {"lvis": "coco", "objects365": "coco"}
FORMAT_HELP = (
    "expected COCO json (instances_train.json and pictures), Pascal VOC xml, YOLO labels/*.txt with "
    "classes.txt or data.yaml, Open Images *annotations-bbox.csv, or CrowdHuman *.odgt"
)


@dataclass(frozen=True, slots=True)
class DetectionSplits:
    """Training and validation pictures of the same classes."""

    train: StoredDetectionImages
    val: StoredDetectionImages


def read_detection(
    path: str | Path,
    format: DetectionFormat = "auto",
    *,
    split: str = "train",
    images: str | Path | None = None,
) -> StoredDetectionImages:
    """Read one split of a detection data set.

    Convention:
        - a folder, a ``.zip`` read in place, or a folder inside a zip: ``packs.zip/cells``.
        - COCO form also takes the json file itself; its pictures are looked for around it.
        - file and folder names say the split: ``instances_val2017.json``, ``images/val``, ``valid/labels``.
        - the format ``voc`` puts the years of a ``VOCdevkit`` folder together, those that have the split.

    Args:
        path: The data set.
        format: ``auto`` looks at the file names; LVIS and Objects365 are of COCO's form, Open Images is read
            as csv (``openimages``) or in COCO's form (``coco``).
        split: ``train``, ``val`` or ``test``, or what the data set has.
        images: Folder or zip of the pictures where they lie elsewhere (LVIS beside COCO's pictures).

    Returns:
        The pictures with their objects.

    Raises:
        ValueError: Nothing usable is there; the message says what was found and what is expected.
    """
    if format not in ("auto", *_FORMATS, *_SAME_FORM):
        known = ", ".join(("auto", *_FORMATS, *_SAME_FORM))
        raise ValueError(f"unknown format {format!r} of a detection data set; known: {known}")
    path, split = Path(path), split_name(split)
    pictures = open_tree(images) if images is not None else None
    if path.suffix.lower() == ".json" and path.is_file():
        return _read_json(path, split, pictures)
    tree = open_tree(path)
    found = _sets(tree, _SAME_FORM.get(format, format))
    if format == "voc" and len(found) > 1:
        return _joined_years([tree.under(root) for root in sorted(found)], split, pictures)
    name, root = _only_set(tree, found)
    return _FORMATS[name][1](tree.under(root), split, pictures)


def _read_json(path: Path, split: str, pictures: FileTree | None) -> StoredDetectionImages:
    folder = path.parent.parent if path.parent.name == "annotations" else path.parent
    tree = open_tree(folder)
    name = path.relative_to(folder).as_posix()
    return read_coco_file(tree, name, split_of(name) or split, pictures or tree)


def _joined_years(years: Sequence[FileTree], split: str, pictures: FileTree | None) -> StoredDetectionImages:
    """One split of several Pascal VOC data sets; not every year was published with every split."""
    parts, missing = [], []
    for tree in years:
        try:
            parts.append(read_voc(tree, split, pictures))
        except SplitMissingError as error:
            missing.append(str(error))
    if not parts:
        raise SplitMissingError("; ".join(missing))
    return joined(parts) if len(parts) > 1 else parts[0]


def _sets(tree: FileTree, format: str) -> dict[str, str]:
    """Folder and format of each data set in a tree that lies in no other."""
    found: dict[str, str] = {}
    for name, (roots, _) in _FORMATS.items():
        if format in ("auto", name):
            for root in roots(tree):
                found.setdefault(root, name)
    outer = {root: name for root, name in found.items() if not any(_inside(root, other) for other in found)}
    if not outer:
        wanted = FORMAT_HELP if format == "auto" else f"expected the {format} format"
        raise ValueError(f"no detection data set in {tree.where}; {wanted}")
    return outer


def _only_set(tree: FileTree, found: Mapping[str, str]) -> tuple[str, str]:
    """Format and folder of the one data set in a tree."""
    if len(found) > 1:
        rows = ", ".join(f"{tree.where}/{root} ({name})" for root, name in sorted(found.items()))
        raise ValueError(f"{tree.where} holds {len(found)} data sets; give the path of one: {rows}")
    ((root, name),) = found.items()
    return name, root


def _inside(root: str, other: str) -> bool:
    return root != other and (not other or root.startswith(other + "/"))


def read_detection_splits(
    path: str | Path,
    format: DetectionFormat = "auto",
    *,
    images: str | Path | None = None,
    train_split: Literal["train", "trainval"] = "train",
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> DetectionSplits:
    """Read the training and validation pictures; see :func:`read_detection`.

    Args:
        path: The data set.
        format: Its format.
        images: Where the pictures lie if elsewhere.
        train_split: What to train on; the validation pictures are those of the split ``val``, else ``test``,
            of ``trainval`` only ``test``.
        validation_fraction: Share of the training pictures held out where there is no other split.
        seed: Seed of that choice.

    Raises:
        ValueError: There are no training pictures, or the splits have different classes.
    """
    train = read_detection(path, format, split=train_split, images=images)
    for split in ("val", "test") if train_split == "train" else ("test",):
        try:
            val = read_detection(path, format, split=split, images=images)
        except SplitMissingError:
            continue
        if val.category_ids != train.category_ids or val.classes != train.classes:
            raise different_classes(train, val)
        return DetectionSplits(train, val)
    return split_detection(train, validation_fraction, seed)


def split_detection(images: StoredDetectionImages, fraction: float, seed: int) -> DetectionSplits:
    """Hold out ``max(1, round(fraction * n))`` pictures for validation, chosen by the seed.

    Raises:
        ValueError: ``fraction`` is not between 0 and 1, or there is only one picture.
    """
    kept, held_out = hold_out(len(images), fraction, seed)
    return DetectionSplits(images.select(kept), images.select(held_out))
