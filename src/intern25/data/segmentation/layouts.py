# SPDX-License-Identifier: MIT
"""How the known segmentation data sets name their files and number their classes.

A layout is a pattern of the mask files, from which the name of the picture follows, and a lookup from the
numbers in the files to labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intern25.data.class_names import class_names
from intern25.data.segmentation.images import grouped_lookup, identity_lookup, zero_ignored_lookup

# Cityscapes numbers 34 classes in its files and scores 19.
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
# Numbers that COCO-Stuff leaves out of its 182, counted from 0.
_COCO_STUFF_GAPS = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
# The Mapillary Vistas classes (v1.2, from 0) that make up each Cityscapes class.
MAPILLARY_TO_CITYSCAPES = (
    (13, 24, 41),  # road: road, lane marking, manhole
    (2, 15),  # sidewalk: curb, sidewalk
    (17,),
    (6,),
    (3,),
    (45, 47),  # pole: pole, utility pole
    (48,),
    (50,),
    (30,),
    (29,),
    (27,),
    (19,),
    (20, 21, 22),  # rider: bicyclist, motorcyclist, other rider
    (55,),
    (61,),
    (54,),
    (58,),
    (57,),
    (52,),
)
_CAMVID_VOID = 11


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskLayout:
    """Files and numbers of one data set."""

    format: str
    """Name for the user."""
    masks: re.Pattern[str]
    """Whole name of a mask file; groups ``root``, ``stem`` and, unless lists say it, ``split``."""
    pictures: tuple[str, ...]
    """Names of the picture without suffix, of the groups of ``masks``; the first that exists is taken."""
    class_list: str
    """Name of the class list."""
    lookup: Callable[[], NDArray[np.int16]]
    """Labels of the numbers in the files."""
    split_list: str = ""
    """File that lists the stems of a split, of ``root`` and ``split``."""
    sign: str = ""
    """Pattern that a name or the data path must hold for the data set to be recognised by itself."""


def _cityscapes_lookup() -> NDArray[np.int16]:
    return grouped_lookup([(value,) for value in _CITYSCAPES_IDS], 34)


def _coco_stuff_lookup() -> NDArray[np.int16]:
    return grouped_lookup([(value,) for value in range(182) if value not in _COCO_STUFF_GAPS], 182)


def _mapillary_lookup() -> NDArray[np.int16]:
    return identity_lookup(len(class_names("mapillary")), ignored=(65,))


_ROOT = r"(?P<root>(?:.*/)?)"
_CITY = r"gtFine/(?P<split>train|val|test)/(?P<stem>[^/]+/[^/]+)_gtFine"
_CITY_EXTRA = r"(?:gtCoarse|refinement_final)/(?P<split>train_extra)/(?P<stem>[^/]+/[^/]+)_gtCoarse"
_STUFF_FOLDER = r"(?:annotations|stuffthingmaps|pixelmaps)"
_MAPILLARY = re.compile(_ROOT + r"(?P<split>training|validation)/(?:v1\.2/)?labels/(?P<stem>[^/]+)\.png")
_MAPILLARY_SIGN = r"(?i)mapillary|(?:^|/)config(?:_v1\.2)?\.json$|/instances/"

LAYOUTS: tuple[MaskLayout, ...] = (
    MaskLayout(
        format="ade20k",
        masks=re.compile(_ROOT + r"annotations/(?P<split>training|validation)/(?P<stem>[^/]+)\.png"),
        pictures=("{root}images/{split}/{stem}",),
        class_list="ade20k",
        lookup=lambda: zero_ignored_lookup(150),
    ),
    MaskLayout(
        format="cityscapes",
        masks=re.compile(_ROOT + _CITY + r"_labelTrainIds\.png"),
        pictures=("{root}leftImg8bit/{split}/{stem}_leftImg8bit",),
        class_list="cityscapes",
        lookup=lambda: identity_lookup(19),
    ),
    MaskLayout(
        format="cityscapes",
        masks=re.compile(_ROOT + _CITY + r"_labelIds\.png"),
        pictures=("{root}leftImg8bit/{split}/{stem}_leftImg8bit",),
        class_list="cityscapes",
        lookup=_cityscapes_lookup,
    ),
    MaskLayout(
        format="cityscapes",
        masks=re.compile(_ROOT + _CITY_EXTRA + r"_labelTrainIds\.png"),
        pictures=("{root}leftImg8bit/{split}/{stem}_leftImg8bit",),
        class_list="cityscapes",
        lookup=lambda: identity_lookup(19),
    ),
    MaskLayout(
        format="cityscapes",
        masks=re.compile(_ROOT + _CITY_EXTRA + r"_labelIds\.png"),
        pictures=("{root}leftImg8bit/{split}/{stem}_leftImg8bit",),
        class_list="cityscapes",
        lookup=_cityscapes_lookup,
    ),
    MaskLayout(
        format="coco_stuff_10k",
        masks=re.compile(
            _ROOT + r"annotations/(?P<split>train2014|test2014)/(?P<stem>[^/]+)_labelTrainIds\.png"
        ),
        pictures=("{root}images/{split}/{stem}",),
        class_list="coco_stuff_164k",
        lookup=lambda: zero_ignored_lookup(171),
    ),
    MaskLayout(
        format="coco_stuff_164k",
        masks=re.compile(
            _ROOT + _STUFF_FOLDER + r"/(?P<split>train2017|val2017)/(?P<stem>[^/]+)_labelTrainIds\.png"
        ),
        pictures=("{root}images/{split}/{stem}", "{root}{split}/{stem}"),
        class_list="coco_stuff_164k",
        lookup=lambda: identity_lookup(171),
    ),
    MaskLayout(
        format="coco_stuff_164k",
        masks=re.compile(_ROOT + _STUFF_FOLDER + r"/(?P<split>train2017|val2017)/(?P<stem>\d+)\.png"),
        pictures=("{root}images/{split}/{stem}", "{root}{split}/{stem}"),
        class_list="coco_stuff_164k",
        lookup=_coco_stuff_lookup,
    ),
    MaskLayout(
        format="pascal_context",
        masks=re.compile(_ROOT + r"SegmentationClassContext/(?P<stem>[^/]+)\.png"),
        pictures=("{root}JPEGImages/{stem}",),
        class_list="pascal_context_59",
        lookup=lambda: zero_ignored_lookup(59),
        split_list="{root}ImageSets/SegmentationContext/{split}.txt",
    ),
    MaskLayout(
        format="nyu40",
        masks=re.compile(_ROOT + r"labels?40/(?P<stem>[^/]+)\.png"),
        pictures=("{root}image/{stem}", "{root}images/{stem}", "{root}rgb/{stem}"),
        class_list="nyu40",
        lookup=lambda: zero_ignored_lookup(40),
        split_list="{root}{split}.txt",
    ),
    MaskLayout(
        format="mapillary",
        masks=_MAPILLARY,
        pictures=("{root}{split}/images/{stem}",),
        class_list="mapillary",
        lookup=_mapillary_lookup,
        sign=_MAPILLARY_SIGN,
    ),
    MaskLayout(
        format="mapillary_as_cityscapes",
        masks=_MAPILLARY,
        pictures=("{root}{split}/images/{stem}",),
        class_list="cityscapes",
        lookup=lambda: grouped_lookup(MAPILLARY_TO_CITYSCAPES, 66),
        sign="(?!)",  # only when asked for
    ),
    MaskLayout(
        format="camvid",
        masks=re.compile(_ROOT + r"(?P<split>train|val|test)/masks/(?P<stem>[^/]+)\.png"),
        pictures=("{root}{split}/images/{stem}",),
        class_list="camvid",
        lookup=lambda: identity_lookup(_CAMVID_VOID, ignored=(_CAMVID_VOID,)),
        sign=r"(?i)camvid",
    ),
    MaskLayout(
        format="camvid",
        masks=re.compile(_ROOT + r"(?P<split>train|val|test)annot/(?P<stem>[^/]+)\.png"),
        pictures=("{root}{split}/{stem}",),
        class_list="camvid",
        lookup=lambda: identity_lookup(_CAMVID_VOID, ignored=(_CAMVID_VOID,)),
    ),
)
