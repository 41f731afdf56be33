# SPDX-License-Identifier: MIT
"""Class names in English and Chinese, in the order of the classification heads.

The lists are tab-separated files in ``intern25/assets/classes``, one class per line below one header line.
Their first column is what the data set itself calls the class: the WordNet synset (``imagenet_1k``), the
folder (``caltech101``, ``cifar10``) or the name in the annotations. ``imagenet_22k`` is compressed; its first
column is the difference between the number of a synset and the one above it, because sorted synsets compress
badly when written in full.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Literal

Language = Literal["en", "zh"]

NUM_INATURALIST_2018_CLASSES = 8142

TABLES = (
    "imagenet_1k",
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
"""Lists that are plain tables."""

# Nothing else of the 22k to 1k list is stored: every other row is the position of the synset. Synset
# n04399382 (teddy, class 850) is missing from ImageNet-22K; the official list gives it the row of class 849
# (teapot), and a 22k head converted with that list depends on the choice.
_ROWS_OF_MISSING_SYNSETS = {"n04399382": 11136}


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of the classes of one head, English and Chinese, by class index.

    Example:
        >>> ClassNames(en=("cat", "dog"), zh=("猫", "狗")).name(1, "zh")
        '狗'
    """

    en: tuple[str, ...]
    """English names."""
    zh: tuple[str, ...]
    """Chinese names, in the same order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "en", tuple(self.en))
        object.__setattr__(self, "zh", tuple(self.zh))
        if len(self.en) != len(self.zh):
            raise ValueError(
                f"one Chinese name per English name: got {len(self.en)} en and {len(self.zh)} zh"
            )

    def __len__(self) -> int:
        return len(self.en)

    def name(self, index: int, language: Language = "en") -> str:
        """Name of one class.

        Args:
            index: class index, ``0 <= index < len(self)``.
            language: ``"en"`` or ``"zh"``.

        Raises:
            ValueError: index out of range or unknown language.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"class index {index} is outside 0..{len(self) - 1}")
        if language == "en":
            return self.en[index]
        if language == "zh":
            return self.zh[index]
        raise ValueError(f"language is 'en' or 'zh', not {language!r}")

    @classmethod
    def from_lists(cls, en: Sequence[str], zh: Sequence[str] | None = None) -> ClassNames:
        """Names from lists; without Chinese names the English ones stand in for them.

        Raises:
            TypeError: a single string was given for a list.
            ValueError: the lists differ in length.
        """
        for names in (en, zh):
            if isinstance(names, str):
                raise TypeError(f"a list of names is needed, not the single string {names!r}")
        return cls(en=tuple(en), zh=tuple(en if zh is None else zh))

    def padded(self, size: int) -> ClassNames:
        """Names for a head of ``size`` outputs, of which those beyond the end have no meaning of their own.

        The published street segmenters have 150 outputs for the 19 classes of Cityscapes.

        Raises:
            ValueError: There are more names than outputs.

        Example:
            >>> ClassNames(en=("road",), zh=("道路",)).padded(2).en
            ('road', 'class 1')
        """
        if size < len(self):
            raise ValueError(f"{len(self)} names for a head with {size} outputs")
        rest = range(len(self), size)
        return ClassNames(
            en=(*self.en, *(f"class {index}" for index in rest)),
            zh=(*self.zh, *(f"类别 {index}" for index in rest)),
        )

    def to_json(self) -> str:
        """JSON text ``{"en": [...], "zh": [...]}``."""
        return json.dumps({"en": self.en, "zh": self.zh}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ClassNames:
        """Inverse of `to_json`.

        Raises:
            ValueError: the text is not what `to_json` writes.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or not all(_is_list_of_str(fields.get(key)) for key in ("en", "zh")):
            raise ValueError(f'class names are {{"en": [...], "zh": [...]}} with strings, not {text[:80]!r}')
        return cls.from_lists(fields["en"], fields["zh"])


@cache
def class_names(list_name: str) -> ClassNames:
    """Class names of a known data set, by class index.

    - ``imagenet_1k``: 1000 classes, sorted by synset.
    - ``imagenet_22k``: 21,841 classes sorted by synset. Names may repeat, since different synsets share a
      word; the Chinese name is the English one where the synset is not among the 1000.
    - ``caltech101``: 100 folders in sorted order, without ``BACKGROUND_Google`` and ``Faces``.
    - ``cifar10``: 10 classes.
    - ``coco`` (80), ``lvis`` (1203, version 1), ``objects365`` (365, version 2), ``openimages`` (601, by
      machine identifier), ``voc`` (20), ``crowdhuman`` (1), ``bccd`` (3), ``dsb2018`` (1): objects, in the
      order of the published detectors.
    - ``gtsrb`` (43 German traffic signs), ``tt100k`` (60 Chinese ones, by code), ``traffic_light`` (3, in
      sorted order), ``traffic_lights_cn`` (14: lights, arrows, pedestrian lights and countdowns).
    - ``ade20k`` (150), ``cityscapes`` (19), ``mapillary`` (66), ``coco_stuff_164k`` (171),
      ``pascal_context_59``, ``nyu40``, ``camvid`` (11): regions, in the order of the masks.
    - ``inaturalist_2018``: 8142 species. These are indices of the head (``species 17``), not names: the
      names are in the annotation files of the data set and do not come with this package.

    Args:
        list_name: one of the names above.

    Returns:
        The names; the same object at each call.

    Raises:
        ValueError: unknown list name.
    """
    if list_name == "imagenet_22k":
        return _imagenet_22k_names()
    if list_name == "inaturalist_2018":
        indices = range(NUM_INATURALIST_2018_CLASSES)
        return ClassNames(en=tuple(f"species {i}" for i in indices), zh=tuple(f"物种 {i}" for i in indices))
    if list_name in TABLES:
        _, en, zh = zip(*_rows(f"{list_name}.tsv"), strict=True)
        return ClassNames(en=en, zh=zh)
    known = ("imagenet_22k", "inaturalist_2018", *TABLES)
    raise ValueError(
        f"unknown class list {list_name!r}; known: {', '.join(known)}. "
        "Own names: ClassNames.from_lists(en, zh)"
    )


@cache
def imagenet_22k_to_1k() -> tuple[int, ...]:
    """Rows of the 21,841-way ImageNet-22K head that belong to the 1000 ImageNet-1K classes.

    ``logits_1k = logits_22k[:, imagenet_22k_to_1k()]``; the same rows of weight and bias turn the head into a
    1000-way head. A row is the position of the class's synset among the 22k synsets; class 850 (teddy) has
    none and shares row 11136 with class 849 (teapot).

    Returns:
        1000 row indices, by ImageNet-1K class index.

    Source:
        OpenGVLab/InternImage, ``map22kto1k.txt`` (equal to what is computed here).
    """
    rows = {synset: row for row, (synset, _) in enumerate(_imagenet_22k_rows())} | _ROWS_OF_MISSING_SYNSETS
    return tuple(rows[synset] for synset, _, _ in _rows("imagenet_1k.tsv"))


@cache
def class_keys(list_name: str) -> tuple[str, ...]:
    """What the data set itself calls each class, by class index: folder, WordNet synset, name of annotations.

    Args:
        list_name: one of ``TABLES``.

    Raises:
        ValueError: unknown list name.
    """
    if list_name not in TABLES:
        raise ValueError(f"no keys for class list {list_name!r}; known: {', '.join(TABLES)}")
    return tuple(row[0] for row in _rows(f"{list_name}.tsv"))


def list_of(classes: ClassNames) -> str | None:
    """Name of the list with just these English names, or None; :meth:`ClassNames.padded` may have added some.

    Args:
        classes: Names of a head.

    Example:
        >>> list_of(class_names("cityscapes").padded(150))
        'cityscapes'
    """
    for list_name in TABLES:
        known = class_names(list_name)
        if classes.en[: len(known)] == known.en and known.padded(len(classes)).en == classes.en:
            return list_name
    return None


def _imagenet_22k_names() -> ClassNames:
    """Names of ImageNet-22K; Chinese from ImageNet-1K where the synset is the same."""
    zh_of_synset = {synset: zh for synset, _, zh in _rows("imagenet_1k.tsv")}
    rows = _imagenet_22k_rows()
    return ClassNames(
        en=tuple(en for _, en in rows), zh=tuple(zh_of_synset.get(synset, en) for synset, en in rows)
    )


def _imagenet_22k_rows() -> list[tuple[str, str]]:
    """(synset, English name) of each ImageNet-22K class."""
    steps, en = zip(*_rows("imagenet_22k.tsv.gz"), strict=True)
    return [(f"n{number:08d}", name) for number, name in zip(accumulate(map(int, steps)), en, strict=True)]


def _rows(file_name: str) -> list[list[str]]:
    """Fields of each line of one asset, without the header."""
    data = (files("intern25") / "assets" / "classes" / file_name).read_bytes()
    if file_name.endswith(".gz"):
        data = gzip.decompress(data)
    return [line.split("\t") for line in data.decode("utf-8").splitlines()[1:]]


def _is_list_of_str(value: object) -> bool:
    """Whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
