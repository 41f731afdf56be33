# SPDX-License-Identifier: MIT
"""Open a segmentation data set from a path, whatever its layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from intern25.data.class_names import class_names
from intern25.data.defects import Defect
from intern25.data.holding_out import hold_out
from intern25.data.segmentation.images import StoredSemanticImages
from intern25.data.segmentation.layouts import LAYOUTS, MaskLayout
from intern25.data.segmentation.mask_folders import (
    MASK_FILE,
    PICTURE_FOLDERS,
    SEMANTIC_FILE,
    Classes,
    listed_classes,
    panoptic_classes,
)
from intern25.data.trees import (
    FileTree,
    SplitMissingError,
    is_image,
    open_tree,
    split_name,
    split_of,
    without_split_folders,
)

SegmentationFormat = Literal[
    "auto",
    "ade20k",
    "cityscapes",
    "coco_stuff_164k",
    "coco_stuff_10k",
    "pascal_context",
    "nyu40",
    "mapillary",
    "mapillary_as_cityscapes",
    "camvid",
    "coco_panoptic",
    "folders",
]
FORMATS = (*dict.fromkeys(layout.format for layout in LAYOUTS), "coco_panoptic", "folders")
FORMAT_HELP = (
    f"expected one of {', '.join(FORMATS)}; own data are folders images/ and masks/, each with train/ and "
    "val/, masks of class numbers, and classes.txt"
)


@dataclass(frozen=True, slots=True)
class SegmentationSplits:
    """Training and validation pictures of the same classes."""

    train: StoredSemanticImages
    val: StoredSemanticImages


@dataclass(frozen=True, slots=True)
class _MaskFile:
    """One mask file and where its picture may be."""

    name: str
    root: str
    split: str
    stem: str
    pictures: tuple[str, ...]
    """Candidate names without suffix."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The mask files of one data set in a tree."""

    format: str
    root: str
    masks: list[_MaskFile]
    classes: Callable[[str], Classes]


def read_semantic(
    path: str | Path, format: SegmentationFormat = "auto", *, split: str = "train"
) -> StoredSemanticImages:
    """Read one split of a segmentation data set.

    Convention:
        - a folder, a ``.zip`` read in place, or a folder inside a zip: ``packs.zip/camvid``.
        - labels are positions in ``classes``; pixels to ignore are 255, whatever the files use.

    Args:
        path: The data set.
        format: ``auto`` looks at the file names. ``mapillary_as_cityscapes`` maps Mapillary Vistas to the 19
            classes of Cityscapes.
        split: ``train``, ``val`` or ``test``, or what the data set has (``train_extra`` of Cityscapes).

    Returns:
        The pictures with their masks.

    Raises:
        ValueError: Nothing usable is there; the message says what was found and what is expected.
    """
    if format not in ("auto", *FORMATS):
        raise ValueError(f"unknown format {format!r} of a segmentation data set; {FORMAT_HELP}")
    tree, split = open_tree(path), split_name(split)
    found = _only_set(tree, format)
    splits = sorted({mask.split for mask in found.masks})
    masks = [mask for mask in found.masks if mask.split == split]
    if not masks and splits == [""] and split == "train":
        masks = found.masks
    if not masks:
        have = ", ".join(word or "masks without a split" for word in splits)
        raise SplitMissingError(f"{tree.where} ({found.format}) has no split {split!r}: found {have}")
    return _read(tree, found, masks, split)


def read_semantic_splits(
    path: str | Path,
    format: SegmentationFormat = "auto",
    *,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> SegmentationSplits:
    """Read the training and validation pictures; see :func:`read_semantic`.

    Args:
        path: The data set.
        format: Its format.
        validation_fraction: Share of the training pictures held out where there is no other split.
        seed: Seed of that choice.

    Raises:
        ValueError: There are no training pictures.
    """
    train = read_semantic(path, format, split="train")
    for split in ("val", "test"):
        try:
            return SegmentationSplits(train, read_semantic(path, format, split=split))
        except SplitMissingError:
            continue
    kept, held_out = hold_out(len(train), validation_fraction, seed)
    return SegmentationSplits(train.select(kept), train.select(held_out))


def _only_set(tree: FileTree, format: str) -> _Found:
    """The one data set in a tree; a known layout counts before plain folders."""
    found: dict[str, _Found] = {}
    for candidate in _candidates(tree, format):
        found.setdefault(candidate.root, candidate)
    found = {root: item for root, item in found.items() if not any(_inside(root, other) for other in found)}
    if not found:
        raise ValueError(f"no segmentation data set of format {format} in {tree.where}; {FORMAT_HELP}")
    if len(found) > 1:
        rows = ", ".join(f"{tree.where}/{root} ({item.format})" for root, item in sorted(found.items()))
        raise ValueError(f"{tree.where} holds {len(found)} data sets; give the path of one: {rows}")
    return next(iter(found.values()))


def _inside(root: str, other: str) -> bool:
    return root != other and root.startswith(other)


def _candidates(tree: FileTree, format: str) -> Iterator[_Found]:
    for layout in LAYOUTS:
        asked = format == layout.format
        if asked or (format == "auto" and _has_sign(tree, layout)):
            matches = [m for m in map(layout.masks.fullmatch, tree.names) if m]
            for root in sorted({m["root"] for m in matches}):
                masks = list(_of_layout(tree, layout, [m for m in matches if m["root"] == root]))
                yield _Found(layout.format, root, masks, _known_classes(layout))
    if format in ("auto", "coco_panoptic"):
        yield from _panoptic(tree)
    if format in ("auto", "folders"):
        yield from _folders(tree)


def _has_sign(tree: FileTree, layout: MaskLayout) -> bool:
    if not layout.sign:
        return True
    return any(re.search(layout.sign, name) for name in (tree.where, *tree.names))


def _known_classes(layout: MaskLayout) -> Callable[[str], Classes]:
    return lambda _split: (class_names(layout.class_list), layout.lookup())


def _of_layout(tree: FileTree, layout: MaskLayout, matches: list[re.Match[str]]) -> Iterator[_MaskFile]:
    split_by_stem: dict[str, str] = {}
    if layout.split_list:
        for split in ("train", "val", "test"):
            name = layout.split_list.format(root=matches[0]["root"], split=split)
            if name in tree.members:
                stems = (line.split()[0] for line in tree.text(name).splitlines() if line.strip())
                split_by_stem.update({PurePosixPath(stem).stem: split for stem in stems})
    for match in matches:
        groups = match.groupdict()
        folder = groups.get("split", "")
        # "train_extra" is a split of its own.
        split = folder if "_" in folder else split_of(folder) or split_by_stem.get(match["stem"], "")
        pictures = tuple(template.format(**groups) for template in layout.pictures)
        yield _MaskFile(match.string, match["root"], split, match["stem"], pictures)


def _panoptic(tree: FileTree) -> Iterator[_Found]:
    matches = [m for m in map(SEMANTIC_FILE.fullmatch, tree.names) if m]
    for root in sorted({m["root"] for m in matches}):
        masks = [
            _MaskFile(
                m.string, root, split_of(m["split"]), m["stem"], (f"{root}images/{m['split']}/{m['stem']}",)
            )
            for m in matches
            if m["root"] == root
        ]
        yield _Found("coco_panoptic", root, masks, partial(panoptic_classes, tree, root))


def _folders(tree: FileTree) -> Iterator[_Found]:
    by_root: dict[str, list[_MaskFile]] = {}
    for match in (m for m in map(MASK_FILE.fullmatch, tree.names) if m):
        parent, inner = match["parent"], match["inner"]
        root = without_split_folders(parent)
        # A suffix such as _mask may belong to the mask alone or to both names.
        stems = (match["stem"], PurePosixPath(match.string).stem)
        pictures = tuple(f"{parent}{folder}/{inner}{stem}" for folder in PICTURE_FOLDERS for stem in stems)
        split = split_of(inner) or split_of(parent[len(root) :])
        mask = _MaskFile(match.string, root, split, match["stem"], pictures)
        by_root.setdefault(f"{root}/" if root else "", []).append(mask)
    for root, masks in sorted(by_root.items()):
        yield _Found("folders", root, masks, partial(listed_classes, tree, root))


def _read(tree: FileTree, found: _Found, masks: list[_MaskFile], split: str) -> StoredSemanticImages:
    by_stem = {str(PurePosixPath(name).with_suffix("")): name for name in tree.names if is_image(name)}
    pairs: dict[str, str] = {}
    lonely: list[Defect] = []
    # Pictures and masks of other splits may lie in the same folders.
    known = {by_stem.get(stem) for mask in found.masks for stem in mask.pictures}
    known |= {mask.name for mask in found.masks}
    for mask in masks:
        picture = next((by_stem[stem] for stem in mask.pictures if stem in by_stem), None)
        if picture is None:
            remedy = f"put it at {mask.pictures[0]}.jpg (or .png), or remove the mask"
            lonely.append(Defect(mask.name, "its picture is missing", remedy))
        else:
            pairs[picture] = mask.name
    if not pairs:
        raise ValueError(
            f"none of the {len(masks)} masks of {tree.where} ({found.format}, {split}) has a picture; "
            f"{lonely[0].remedy}"
        )
    if found.format == "folders":  # elsewhere it is usual that a part of the pictures has masks
        folders = {PurePosixPath(picture).parent for picture in pairs}
        lonely += [
            Defect(name, "it has no mask", "it is left out; give it a .png of the same name", serious=False)
            for name in by_stem.values()
            if PurePosixPath(name).parent in folders and name not in known
        ]
    classes, lookup = found.classes(split)
    return StoredSemanticImages(
        where=f"{tree.where} ({split})",
        names=tuple(pairs),
        mask_names=tuple(pairs.values()),
        classes=classes,
        lookup=lookup,
        store=tree.store,
        defects=tuple(lonely),
    )
