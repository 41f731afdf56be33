# SPDX-License-Identifier: MIT
"""Segments of one picture that share no pixel: one for each thing, one for each kind of stuff."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.run_lengths import encode_mask
from intern25.results.detections import Detections
from intern25.results.language import Language, names_in

if TYPE_CHECKING:
    import os

    from PIL import Image

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanopticMap:
    """Things and stuff of one picture; predictors give the largest segment first.

    Convention:
        - things are countable: every person is a segment. Stuff is not: all sky is one segment.

    Args:
        ids: Segment of each pixel, ``(H, W)``, int32: 0 is none, ``k`` is row ``k - 1`` of the other fields.
        labels: Class numbers, ``(K,)``, int64.
        scores: Class probabilities, ``(K,)``, float32.
        is_thing: Whether each segment is a thing, ``(K,)``, bool.
        names_en: English names, ``K`` of them.
        names_zh: Chinese names, ``K`` of them.
        palette: Colour ``(r, g, b)`` of each class number.
        source: Path of the picture, None when it came from memory.
        image: The upright RGB picture, kept for :meth:`draw`.

    Raises:
        ValueError: The shapes disagree, an id has no segment, or a class has no colour.

    Example:
        >>> found = PanopticMap(
        ...     ids=np.array([[1, 1, 2], [1, 1, 0]], dtype=np.int32), labels=np.array([1, 0]),
        ...     scores=np.array([0.9, 0.8], dtype=np.float32), is_thing=np.array([False, True]),
        ...     names_en=("sky", "bird"), names_zh=("天空", "鸟"), palette=((200, 0, 0), (0, 0, 200)),
        ... )
        >>> found.areas.tolist(), found.select(found.is_thing).names_zh
        ([4, 1], ('鸟',))
    """  # fmt: skip

    ids: NDArray[np.int32]
    """Segment of each pixel, 0 for none."""
    labels: NDArray[np.int64]
    """Class number of each segment."""
    scores: NDArray[np.float32]
    """Class probability of each segment."""
    is_thing: NDArray[np.bool_]
    """Whether each segment is a thing."""
    names_en: tuple[str, ...]
    """English names in the order of ``labels``."""
    names_zh: tuple[str, ...]
    """Chinese names in the order of ``labels``."""
    palette: tuple[Color, ...]
    """Colours by class number."""
    source: str | None = None
    """Path of the picture, if it has one."""
    image: Image.Image | None = field(default=None, repr=False)
    """The picture itself, upright RGB."""

    def __post_init__(self) -> None:
        columns = (self.labels, self.scores, self.is_thing, self.names_en, self.names_zh)
        counts = [len(column) for column in columns]
        if len(set(counts)) != 1:
            raise ValueError(
                "labels, scores, is_thing, names_en and names_zh must have one entry for each segment, got "
                + ", ".join(map(str, counts))
            )
        if self.ids.ndim != 2 or not np.issubdtype(self.ids.dtype, np.integer):
            raise ValueError(f"ids {self.ids.dtype} of {self.ids.shape} must be integers of shape (H, W)")
        low, high = (int(self.ids.min()), int(self.ids.max())) if self.ids.size else (0, 0)
        if low < 0 or high > counts[0]:
            raise ValueError(f"ids {low} to {high} must be 0 for none, or 1 to {counts[0]} for a segment")
        uncolored = [label for label in self.labels.tolist() if not 0 <= label < len(self.palette)]
        if uncolored:
            raise ValueError(f"labels {uncolored[:5]} have no colour: the palette has {len(self.palette)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each segment, ``(K,)``."""
        return np.bincount(self.ids.ravel(), minlength=len(self) + 1)[1:].astype(np.int64)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Left, top, right, bottom around each segment, ``(K, 4)``; zeros for one without pixels."""
        left, right = _extents(self.ids.T, len(self))
        top, bottom = _extents(self.ids, len(self))
        return np.stack([left, top, right, bottom], axis=1)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_] | Sequence[int]) -> PanopticMap:
        """Return the segments ``rows``, numbers in any order or one bool for each; other pixels have none."""
        chosen = np.arange(len(self))[np.asarray(rows, dtype=None if len(rows) else np.int64)]
        new_ids = np.zeros(len(self) + 1, dtype=self.ids.dtype)
        new_ids[chosen + 1] = np.arange(1, len(chosen) + 1)
        return replace(
            self,
            ids=new_ids[self.ids],
            labels=self.labels[chosen],
            scores=self.scores[chosen],
            is_thing=self.is_thing[chosen],
            names_en=tuple(self.names_en[row] for row in chosen),
            names_zh=tuple(self.names_zh[row] for row in chosen),
        )

    def names(self, language: Language = "en") -> tuple[str, ...]:
        """Return the name of each segment in ``"en"``, ``"zh"`` or ``"both"``.

        Raises:
            ValueError: Another language.
        """
        return names_in(self.names_en, self.names_zh, language)

    def to_json(self, *, masks: bool = False) -> str:
        """Return one line of JSON.

        ``{"source", "size": [height, width], "segments": [{"id", "label", "name_en", "name_zh", "is_thing",
        "score", "box", "pixels", "share"}]}``; ``share`` is of the whole picture.

        Args:
            masks: Add ``"mask"`` to each segment, as COCO's run lengths.
        """
        return json.dumps(self.to_record(masks=masks), ensure_ascii=False)

    def to_record(self, *, masks: bool = False) -> dict[str, Any]:
        """Return the object of :meth:`to_json` as a dict."""
        areas, boxes = self.areas.tolist(), self.boxes.tolist()
        segments: list[dict[str, Any]] = [
            {
                "id": row + 1,
                "label": int(self.labels[row]),
                "name_en": self.names_en[row],
                "name_zh": self.names_zh[row],
                "is_thing": bool(self.is_thing[row]),
                "score": round(float(self.scores[row]), 6),
                "box": boxes[row],
                "pixels": areas[row],
                "share": round(areas[row] / self.ids.size, 6),
            }
            for row in range(len(self))
        ]
        if masks:
            for segment in segments:
                segment["mask"] = encode_mask(self.ids == segment["id"])
        return {"source": self.source, "size": list(self.size), "segments": segments}

    def to_coco(
        self,
        image_id: int = 0,
        *,
        file_name: str = "",
        category_ids: Sequence[int] | Mapping[int, int] | None = None,
    ) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """Return the picture's annotation in COCO's panoptic form, and the pixels of its PNG file.

        Args:
            image_id: The picture's number in the annotation file.
            file_name: Name of the PNG file, as the annotation is to state it.
            category_ids: From our class number to the file's category; None takes the class number.

        Returns:
            The annotation, ``{"image_id", "file_name", "segments_info": [{"id", "category_id", "area",
            "bbox", "iscrowd"}]}`` with boxes as x, y, width, height; and the pixels ``(H, W, 3)``,
            where the id is ``R + 256 G + 65536 B``, 0 for no segment.

        Source:
            COCO data format, panoptic segmentation: https://cocodataset.org/#format-data
        """
        segments = [
            {
                "id": row + 1,
                "category_id": label if category_ids is None else category_ids[label],
                "area": area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
            }
            for row, (label, area, (left, top, right, bottom)) in enumerate(
                zip(self.labels.tolist(), self.areas.tolist(), self.boxes.tolist(), strict=True)
            )
        ]
        pixels = np.stack([self.ids >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
        return {"image_id": image_id, "file_name": file_name, "segments_info": segments}, pixels

    def save_masks(self, path: str | os.PathLike[str]) -> None:
        """Write the ids as the PNG of :meth:`to_coco`, whole or not at all.

        Raises:
            ValueError: ``path`` does not end in .png, or its folder does not exist.
        """
        from PIL import Image

        from intern25.data.writing import write_whole

        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path} must end in .png; other formats would change the ids")
        _, pixels = self.to_coco()
        picture = Image.fromarray(pixels)
        write_whole(path, lambda temporary: picture.save(temporary, format="PNG"))

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections`` with a mask a segment, and ``is_thing`` in its data.

        Raises:
            ImportError: The package supervision is not installed.
        """
        found = Detections(
            boxes=self.boxes.astype(np.float32),
            scores=self.scores,
            labels=self.labels,
            size=self.size,
            masks=self.ids[None] == np.arange(1, len(self) + 1)[:, None, None],
            names_en=self.names_en,
            names_zh=self.names_zh,
        ).to_supervision()
        found.data["is_thing"] = self.is_thing.copy()
        return found

    def draw(
        self,
        *,
        language: Language = "en",
        font: str | os.PathLike[str] | None = None,
        legend: bool | None = None,
    ) -> Image.Image:
        """Draw every segment over the picture, each thing in its own shade of its class's colour.

        Args:
            language: Language of the names; Chinese needs a font that has it.
            font: Font file; None looks for a usual one of the system and falls back to English names
                when Chinese is asked for and no Chinese font is found.
            legend: Name the colours below the picture; None does so when names find no room on it.

        Returns:
            A new RGB picture; a small picture is enlarged so that the names can be read.

        Raises:
            ValueError: The result holds no picture.
            OSError: ``font`` cannot be read.
        """
        from intern25.drawing import draw_panoptic_map

        return draw_panoptic_map(self, language=language, font=font, legend=legend)


def _extents(ids: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First line in which each segment has a pixel, and the line after its last; zeros without any."""
    present = np.zeros((len(ids), count), dtype=bool)
    for line, values in zip(present, ids, strict=True):
        line[:] = np.bincount(values, minlength=count + 1)[1:] > 0
    if not len(ids):
        return np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    has_pixels = present.any(axis=0)
    first, last = present.argmax(axis=0), len(ids) - present[::-1].argmax(axis=0)
    return np.where(has_pixels, first, 0), np.where(has_pixels, last, 0)
