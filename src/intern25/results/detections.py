# SPDX-License-Identifier: MIT
"""The objects found in one picture: boxes, scores, classes and, where the model has them, masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.run_lengths import encode_mask
from intern25.results.language import Language, names_in

if TYPE_CHECKING:
    import os

    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """Objects of one picture, best first.

    Convention:
        - boxes: ``(x1, y1, x2, y2)`` in pixels of the picture as it was given; a pixel is one unit wide, so
          the whole picture is ``(0, 0, W, H)``.
        - raw models return detections without names, source and image; predictors add them.

    Args:
        boxes: ``(K, 4)``, float32.
        scores: ``(K,)``, float32, descending.
        labels: Class numbers, ``(K,)``, int64.
        size: Height and width of the picture.
        masks: ``(K, H, W)``, bool, or None for a model without masks.
        names_en: English names, ``K`` of them, or none for a model without names.
        names_zh: Chinese names, likewise.
        source: Path of the picture, None when it came from memory.
        image: The upright RGB picture, kept for :meth:`draw`.

    Raises:
        ValueError: The shapes disagree.

    Example:
        >>> found = Detections(
        ...     boxes=np.array([[1, 2, 5, 6]], dtype=np.float32), scores=np.array([0.9], dtype=np.float32),
        ...     labels=np.array([0]), size=(8, 9), names_en=("cat",), names_zh=("猫",),
        ... )
        >>> len(found.filter(min_score=0.95))
        0
    """  # fmt: skip

    boxes: NDArray[np.float32]
    """Corners in pixels of the picture as it was given."""
    scores: NDArray[np.float32]
    """Confidence, descending."""
    labels: NDArray[np.int64]
    """Class numbers."""
    size: tuple[int, int]
    """Height and width of the picture."""
    masks: NDArray[np.bool_] | None = field(default=None, repr=False)
    """One mask of the whole picture for each object."""
    names_en: tuple[str, ...] = ()
    """English names in the order of ``labels``."""
    names_zh: tuple[str, ...] = ()
    """Chinese names in the order of ``labels``."""
    source: str | None = None
    """Path of the picture, if it has one."""
    image: Image.Image | None = field(default=None, repr=False)
    """The picture itself, upright RGB."""

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.labels.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes.shape}, scores {self.scores.shape} and labels {self.labels.shape} "
                "must be (K, 4), (K,) and (K,)"
            )
        if self.masks is not None and self.masks.shape != (count, *self.size):
            raise ValueError(f"masks {self.masks.shape} must be {(count, *self.size)}: one mask for each box")
        if len(self.names_en) != len(self.names_zh) or len(self.names_en) not in (0, count):
            raise ValueError(
                f"{len(self.names_en)} English and {len(self.names_zh)} Chinese names for {count} objects"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_] | Sequence[int]) -> Detections:
        """Return the objects ``rows``: numbers in any order, or one bool for each object."""
        chosen = np.arange(len(self))[np.asarray(rows, dtype=None if len(rows) else np.int64)]
        return replace(
            self,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            names_en=tuple(self.names_en[row] for row in chosen) if self.names_en else (),
            names_zh=tuple(self.names_zh[row] for row in chosen) if self.names_zh else (),
        )

    def filter(
        self, *, min_score: float = 0.0, classes: Sequence[str] | Sequence[int] | None = None
    ) -> Detections:
        """Return the objects that score at least ``min_score`` and are of one of ``classes``.

        Args:
            min_score: Smallest score that stays.
            classes: Names in either language, or class numbers; None keeps all. A name that no object here
                has keeps nothing: only the predictor knows all names of the model.

        Raises:
            TypeError: ``classes`` is one text in place of a list.
        """
        if isinstance(classes, str):
            raise TypeError(f"classes={classes!r} must be a list of names: classes=[{classes!r}]")
        stays = self.scores >= min_score
        if classes is not None:
            wanted = set(classes)
            named = zip(self.labels.tolist(), *self._names_or_blanks(), strict=True)
            stays &= np.array([bool({label, en, zh} & wanted) for label, en, zh in named], dtype=bool)
        return self.select(stays)

    def names(self, language: Language = "en") -> tuple[str, ...]:
        """Return the names in ``"en"``, ``"zh"`` or ``"both"``; ``class 7`` for models without names.

        Raises:
            ValueError: Another language.
        """
        if self.names_en or not len(self):
            return names_in(self.names_en, self.names_zh, language)
        en = tuple(f"class {label}" for label in self.labels.tolist())
        return names_in(en, tuple(f"类别 {label}" for label in self.labels.tolist()), language)

    def to_json(self, *, masks: bool = False) -> str:
        """Return one line of JSON.

        ``{"source", "size": [height, width], "detections": [{"label", "score", "box", "name_en",
        "name_zh"}]}``, boxes rounded to hundredths of a pixel, scores to six digits, names null for models
        without.

        Args:
            masks: Add ``"mask"`` to each object that has one, as COCO's run lengths.
        """
        return json.dumps(self.to_record(masks=masks), ensure_ascii=False)

    def to_record(self, *, masks: bool = False) -> dict[str, Any]:
        """Return the object of :meth:`to_json` as a dict."""
        values = (self.labels.tolist(), self.scores.tolist(), self.boxes.tolist())
        rows = zip(*values, *self._names_or_blanks(), strict=True)
        found: list[dict[str, Any]] = [
            {
                "label": label,
                "score": round(score, 6),
                "box": [round(value, 2) for value in box],
                "name_en": en,
                "name_zh": zh,
            }
            for label, score, box, en, zh in rows
        ]
        if masks and self.masks is not None:
            for row, mask in zip(found, self.masks, strict=True):
                row["mask"] = encode_mask(mask)
        return {"source": self.source, "size": list(self.size), "detections": found}

    def to_coco(
        self, image_id: int = 0, *, category_ids: Sequence[int] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return rows of a COCO result file.

        ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`` and, with masks,
        ``"segmentation"`` as run lengths.

        Args:
            image_id: The picture's number in the annotation file.
            category_ids: From our class number to the file's category; None takes the class number. COCO's
                own 80 classes are numbered 1 to 90 with holes.
        """
        rows = []
        for row, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            label = int(self.labels[row])
            found: dict[str, Any] = {
                "image_id": image_id,
                "category_id": label if category_ids is None else category_ids[label],
                "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                "score": round(float(self.scores[row]), 6),
            }
            if self.masks is not None:
                found["segmentation"] = encode_mask(self.masks[row])
            rows.append(found)
        return rows

    def save_masks(self, path: str | os.PathLike[str]) -> None:
        """Write the masks as one PNG of object numbers, whole or not at all.

        16 bits a pixel: 0 is nothing, ``k`` the ``k``-th object, from 1; where masks overlap, the best is on
        top.

        Raises:
            ValueError: There are no masks, ``path`` does not end in .png, or its folder does not exist.
        """
        from PIL import Image

        from intern25.data.writing import write_whole

        path = Path(path)
        if self.masks is None:
            raise ValueError("this model gives boxes without masks; take one with a mask head")
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path} must end in .png; other formats would change the object numbers")
        numbers = np.zeros(self.size, dtype=np.uint16)
        for number in range(len(self), 0, -1):
            numbers[self.masks[number - 1]] = number
        picture = Image.fromarray(numbers)
        write_whole(path, lambda temporary: picture.save(temporary, format="PNG"))

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections`` with ``class_name`` and ``class_name_zh`` in its data.

        Raises:
            ImportError: The package supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ImportError("to_supervision() needs the package: pip install supervision") from error
        names: dict[str, Any] = {
            "class_name": np.array(self.names("en")),
            "class_name_zh": np.array(self.names("zh")),
        }
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32).reshape(-1, 4),
            mask=self.masks,
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            data=names,
        )

    def draw(
        self,
        *,
        language: Language = "en",
        font: str | os.PathLike[str] | None = None,
        palette: Sequence[tuple[int, int, int]] | None = None,
        legend: bool | None = None,
    ) -> Image.Image:
        """Draw boxes, masks and labels onto the picture.

        Args:
            language: Language of the names; Chinese needs a font that has it.
            font: Font file; None looks for a usual one of the system and falls back to English names
                when Chinese is asked for and no Chinese font is found.
            palette: Colour of each class number, reused from the start when there are more classes.
            legend: Name the colours below the picture; None does so when names find no room at the boxes.

        Returns:
            A new RGB picture; a small picture is enlarged so that the names can be read.

        Raises:
            ValueError: The result holds no picture.
            OSError: ``font`` cannot be read.
        """
        from intern25.drawing import draw_detections

        return draw_detections(self, language=language, font=font, palette=palette, legend=legend)

    def _names_or_blanks(self) -> tuple[Sequence[str | None], Sequence[str | None]]:
        blanks = [None] * len(self)
        return self.names_en or blanks, self.names_zh or blanks
