# SPDX-License-Identifier: MIT
"""Which classes are things, that can be counted, and which are stuff, such as sky and road."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import MappingProxyType

from intern25.data.class_names import ClassNames, class_keys, class_names, list_of

# The rest of a list are things.
_STUFF = MappingProxyType(
    {
        # The 50 that the panoptic challenge does not count: ``isthing`` of Mask2Former's ADE20K table.
        "ade20k": (
            "wall, building, sky, floor, tree, ceiling, road, grass, sidewalk, earth, mountain, "
            "plant, water, house, sea, rug, field, rock, base, sand, skyscraper, grandstand, path, "
            "runway, stairway, river, bridge, blind, hill, bar, hovel, tower, dirt track, land, "
            "escalator, buffet, poster, stage, conveyer belt, canopy, swimming pool, waterfall, tent,"
            " cradle, tank, lake, blanket, pier, crt screen, shower"
        ),
        # ``hasInstances`` of cityscapesScripts.
        "cityscapes": (
            "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, "
            "terrain, sky"
        ),
        # ``instances`` of the data set's own config, version 1.2.
        "mapillary": (
            "Curb, Fence, Guard Rail, Barrier, Wall, Bike Lane, Curb Cut, Parking, Pedestrian Area, "
            "Rail Track, Road, Service Lane, Sidewalk, Bridge, Building, Tunnel, Lane Marking - "
            "General, Mountain, Sand, Sky, Snow, Terrain, Vegetation, Water, Pothole, On Rails, Car "
            "Mount, Ego Vehicle, Unlabeled"
        ),
        "coco": "",
        "lvis": "",
        "objects365": "",
        "openimages": "",
        "voc": "",
        "crowdhuman": "",
        "bccd": "",
        "dsb2018": "",
    }
)

# CamVid has no official answer; here a sign is a surface.
_STUFF_ELSEWHERE = (("sign", "标志牌", "pole", "杆", "pavement", "人行道"), ("background", "背景"))

_THINGS_OF_COCO_STUFF = 80
"""They come first, in COCO's order."""


@cache
def things_of(classes: ClassNames) -> frozenset[int] | None:
    """Numbers of the classes that are things, for the class lists of which that is known.

    Convention:
        - COCO-Stuff, ADE20K, Cityscapes and Mapillary: as in their panoptic challenges; data sets of objects:
          all classes.
        - Names that :meth:`ClassNames.padded` has added are neither.

    Args:
        classes: Names of a model's classes.

    Returns:
        Class numbers, or None: Pascal Context, NYU, CamVid and own classes have no official answer.

    Example:
        >>> from intern25.data.class_names import class_names
        >>> sorted(things_of(class_names("cityscapes")))
        [11, 12, 13, 14, 15, 16, 17, 18]
    """
    list_name = list_of(classes)
    if list_name == "coco_stuff_164k":
        return frozenset(range(_THINGS_OF_COCO_STUFF))
    if list_name is None or list_name not in _STUFF:
        return None
    stuff = set(_STUFF[list_name].split(", "))
    return frozenset(number for number, key in enumerate(class_keys(list_name)) if key not in stuff)


def countable(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, in either language, that no known data set calls stuff.

    Where data sets disagree a name is stuff, except for the objects of COCO.

    Example:
        >>> countable(["sky", "道路", "kite", "red van"])
        ('kite', 'red van')
    """
    return tuple(name for name in names if name.strip().casefold() not in _stuff())


@cache
def _stuff() -> frozenset[str]:
    stuff = {name for names in _STUFF_ELSEWHERE for name in names}
    for list_name in ("ade20k", "cityscapes", "mapillary", "coco_stuff_164k"):
        names = class_names(list_name)
        things = things_of(names)
        assert things is not None, "known above"
        stuff |= {n.casefold() for row in range(len(names)) if row not in things for n in _both(names, row)}
    objects = class_names("coco")
    return frozenset(stuff) - {name.casefold() for name in (*objects.en, *objects.zh)}


def _both(names: ClassNames, row: int) -> tuple[str, str]:
    return names.en[row], names.zh[row]
