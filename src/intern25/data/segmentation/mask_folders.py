# SPDX-License-Identifier: MIT
"""Own data: folders of pictures and of masks beside each other, and a ``classes.txt``.

Line ``k`` of ``classes.txt`` (from 0) names the class of value ``k``; the names void, ignore and
unlabeled mark values that neither train nor count. Value 255 is always ignored.
"""

from __future__ import annotations

import json
import re

import numpy as np
from numpy.typing import NDArray

from intern25.data.class_names import ClassNames
from intern25.data.known_classes import named_classes
from intern25.data.segmentation.batch import IGNORED
from intern25.data.segmentation.images import UNKNOWN
from intern25.data.trees import FileTree

MASK_FILE = re.compile(
    r"(?P<parent>(?:.*/)?)(?:masks?|labels?|annotations?|gt|segmentation)/(?P<inner>(?:[^/]+/)?)"
    r"(?P<stem>[^/]+?)(?:_masks?|_labels?|_gt|_seg|_L)?\.(?:png|bmp|tiff?|gif)",
    re.IGNORECASE,
)
PICTURE_FOLDERS = ("images", "image", "img", "imgs", "pictures", "JPEGImages")
SEMANTIC_FILE = re.compile(r"(?P<root>(?:.*/)?)semantic/(?P<split>[^/]+)/(?P<stem>[^/]+)\.png")
_VOID = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled"})
Classes = tuple[ClassNames, NDArray[np.int16]]
"""Class names and the lookup from values to labels."""


def listed_classes(tree: FileTree, root: str, _split: str) -> Classes:
    """Classes of ``classes.txt``, the same for each split.

    Raises:
        ValueError: There is no such file, or it has no class.
    """
    name = next((n for n in (f"{root}classes.txt", "classes.txt") if n in tree.members), None)
    if name is None:
        raise ValueError(
            f"{tree.where}/{root} does not say its classes: write classes.txt, one name a line in the order "
            "of the mask values, 'void' for values to ignore"
        )
    names = [line.strip() for line in tree.text(name).splitlines() if line.strip()]
    values = [value for value, class_name in enumerate(names) if class_name.lower() not in _VOID]
    if not values or len(names) > IGNORED:
        raise ValueError(f"{tree.where}/{name} names {len(values)} classes; 1 to {IGNORED} are possible")
    lookup = np.full(256, UNKNOWN, dtype=np.int16)
    lookup[: len(names)] = IGNORED
    lookup[values] = np.arange(len(values))
    lookup[IGNORED] = IGNORED
    return named_classes([names[value] for value in values]), lookup


def panoptic_classes(tree: FileTree, root: str, split: str) -> Classes:
    """Classes of COCO's ``panoptic_<split>.json``; values are category ids and 0 is ignored.

    Raises:
        ValueError: There is no such file, or it has no categories.
    """
    files = [n for n in tree.names if n.startswith(root) and "panoptic_" in n and n.endswith(".json")]
    name = next((n for n in files if split in n), files[0] if files else None)
    if name is None:
        raise ValueError(f"{tree.where}/{root} has no panoptic_{split}.json, which numbers the classes")
    try:
        categories = json.loads(tree.text(name))["categories"]
        pairs = sorted((int(category["id"]), str(category["name"])) for category in categories)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{tree.where}/{name} has no usable list 'categories': {error}") from error
    lookup = np.full(256, UNKNOWN, dtype=np.int16)
    lookup[[0, IGNORED]] = IGNORED
    lookup[[value for value, _ in pairs]] = np.arange(len(pairs))
    return named_classes([class_name for _, class_name in pairs]), lookup
