# SPDX-License-Identifier: MIT
"""How a generalist is used: what it sees of a picture in each task, and the names it knows by itself.

Part of a weight file, as what a model has been trained with decides all of it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from intern25.data.class_names import ClassNames, class_names
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing, Size

SETTINGS = "settings"
"""Entry of a generalist's weight file with its settings."""
_SIZES = ("caption_size", "read_size", "embed_size")
_LISTS = ("classify_names", "detect_names", "segment_names")
_SMALLEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralistSettings:
    """Sizes of pictures and texts, thresholds and lists of names.

    Convention:
        - sizes are (height, width); both sides of a picture are resized to them, nothing is cut.
        - lengths are numbers of tokens.

    Raises:
        ValueError: A value is out of range, or a thing is no name of the segmentation list.

    Example:
        >>> settings = GeneralistSettings(detect_names=class_names("bccd"))
        >>> GeneralistSettings.from_json(settings.to_json()) == settings
        True
    """

    classify_size: int = 128
    """Side of the square that is classified."""
    caption_size: Size = (128, 128)
    """What is described."""
    ask_sizes: tuple[Size, ...] = ((128, 160),)
    """What is asked about: of these the one that distorts a picture least, see :meth:`ask_size`."""
    read_size: Size = (48, 256)
    """One line of text."""
    embed_size: Size = (128, 128)
    """What is compared with texts."""
    detection: DetectionPreprocessing = field(
        default_factory=lambda: DetectionPreprocessing(long_side=384, short_side=288)
    )
    """Transform of pictures in which objects are looked for."""
    segmentation: SegmentationPreprocessing = field(
        default_factory=lambda: SegmentationPreprocessing(long_side=480, short_side=360)
    )
    """Transform of pictures whose pixels are named."""
    regions: int = 0
    """Proposals that are seen beside the global tokens in captions and answers."""
    name_length: int = 32
    """Longest name of a class, and longest answer of a list."""
    question_length: int = 64
    """Longest question."""
    text_length: int = 40
    """Longest text that is compared with pictures."""
    caption_length: int = 24
    """Longest caption."""
    answer_length: int = 16
    """Longest answer."""
    read_length: int = 28
    """Longest line that is read."""
    detect_threshold: float = 0.3
    """Smallest score of an object."""
    panoptic_threshold: float = 0.3
    """Smallest score of a segment."""
    classify_names: ClassNames = field(default_factory=lambda: class_names("caltech101"))
    """Names to classify with where none are given."""
    detect_names: ClassNames = field(default_factory=lambda: class_names("coco"))
    """Names to look for where none are given."""
    segment_names: ClassNames = field(default_factory=lambda: class_names("camvid"))
    """Names for pixels where none are given."""
    things: tuple[str, ...] | None = None
    """English names of ``segment_names`` that can be counted; None for all that no data set calls stuff."""

    def __post_init__(self) -> None:
        for name in _SIZES:
            object.__setattr__(self, name, _size(name, getattr(self, name)))
        sizes = tuple(_size("ask_sizes", size) for size in self.ask_sizes)
        object.__setattr__(self, "ask_sizes", sizes)
        if not sizes:
            raise ValueError("ask_sizes=() leaves nothing to choose from; give one size or more")
        if self.classify_size < _SMALLEST:
            raise ValueError(f"classify_size={self.classify_size} must be {_SMALLEST} pixels or more")
        for name in ("detect_threshold", "panoptic_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} must be from 0 to 1")
        for part in dataclasses.fields(self):
            if part.name.endswith("_length") and getattr(self, part.name) < 1:
                raise ValueError(f"{part.name}={getattr(self, part.name)} must be 1 or more")
        if self.regions < 0:
            raise ValueError(f"regions={self.regions} must be 0 or more")
        things = () if self.things is None else tuple(self.things)
        object.__setattr__(self, "things", None if self.things is None else things)
        unknown = set(things) - set(self.segment_names.en)
        if unknown:
            raise ValueError(f"things {sorted(unknown)} are none of segment_names")

    def ask_size(self, picture: Size) -> Size:
        r"""Return the size at which a picture of some (height, width) is asked about.

        .. math:: \operatorname{argmin}_{(h, w)} \big| \log(h / w) - \log(H / W) \big|

        Convention: of sizes that are equally near in shape the one that is nearest in area.

        Example:
            >>> settings = GeneralistSettings(ask_sizes=((64, 256), (96, 96), (128, 128)))
            >>> settings.ask_size((480, 500)), settings.ask_size((64, 64))
            ((128, 128), (96, 96))
        """
        shape, area = math.log(picture[0] / picture[1]), math.log(picture[0] * picture[1])

        def distortion(size: Size) -> tuple[float, float]:
            # Rounded, since a tie of equal shapes must not be decided by the last bit.
            change = abs(math.log(size[0] * size[1]) - area)
            return round(abs(math.log(size[0] / size[1]) - shape), 9), change

        return min(self.ask_sizes, key=distortion)

    def to_json(self) -> str:
        """Return the settings as one JSON object; :meth:`from_json` takes it back unchanged."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> GeneralistSettings:
        """Read what :meth:`to_json` wrote; what is left out has its default.

        Earlier files have one ``ask_size`` in the place of ``ask_sizes``.

        Raises:
            ValueError: ``text`` is not such an object.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if "ask_size" in values:
                values.setdefault("ask_sizes", [values.pop("ask_size")])
            for name, build in _PARTS.items():
                if name in values:
                    values[name] = build(**values[name])
            return cls(**values)
        except (json.JSONDecodeError, TypeError, AttributeError) as error:
            raise ValueError(f"not the settings of a generalist: {text[:200]!r} ({error})") from error


def _size(name: str, value: Any) -> Size:
    size = tuple(value)
    if len(size) != 2 or min(size) < _SMALLEST:
        raise ValueError(f"{name}={size} must be (height, width), each {_SMALLEST} pixels or more")
    return size


_PARTS: dict[str, Any] = {
    "detection": DetectionPreprocessing,
    "segmentation": SegmentationPreprocessing,
    **dict.fromkeys(_LISTS, ClassNames),
}
