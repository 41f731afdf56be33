# SPDX-License-Identifier: MIT
"""Chinese names for the classes of a data set, where the list is one that the package knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from intern25.data.class_names import ClassNames, class_keys, class_names

_LISTS = (
    "caltech101",
    "cifar10",
    "coco",
    "lvis",
    "objects365",
    "openimages",
    "voc",
    "crowdhuman",
    "ade20k",
    "cityscapes",
    "mapillary",
    "coco_stuff_164k",
    "pascal_context_59",
    "nyu40",
    "camvid",
    "bccd",
    "dsb2018",
    "gtsrb",
    "tt100k",
    "traffic_light",
    "traffic_lights_cn",
)


def named_classes(names: Sequence[str]) -> ClassNames:
    """Return class names, with the Chinese ones where exactly this list is known.

    Args:
        names: Names as the data set writes them, by label.

    Example:
        >>> named_classes(["red", "green"]).zh
        ('red', 'green')
    """
    return _known().get(tuple(_plain(name) for name in names)) or ClassNames.from_lists(names)


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()


@cache
def _known() -> dict[tuple[str, ...], ClassNames]:
    known = {}
    for list_name in _LISTS:
        for names in (class_keys(list_name), class_names(list_name).en):
            known[tuple(_plain(name) for name in names)] = class_names(list_name)
    return known
