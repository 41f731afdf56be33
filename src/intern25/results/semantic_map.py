# SPDX-License-Identifier: MIT
"""The class of each pixel of one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.run_lengths import encode_mask
from intern25.results.language import Language, names_in

if TYPE_CHECKING:
    import os

    from PIL import Image

Color = tuple[int, int, int]


def unlabelled(num_classes: int) -> int:
    """Return the label of pixels that belong to no class: 255, or 65535 for a model with so many classes."""
    return 255 if num_classes <= 255 else 65535


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SemanticMap:
    """Class of each pixel.

    Args:
        labels: Class numbers in the size of the picture, ``(H, W)``, uint8 or int32; 255 (65535 for a
            model with more classes) is no class.
        names_en: English names of all classes of the model.
        names_zh: Chinese names of all classes of the model.
        palette: Colour ``(r, g, b)`` of each class.
        scores: Probability of the chosen class, ``(H, W)``, or None.
        source: Path of the picture, None when it came from memory.
        image: The upright RGB picture, kept for :meth:`draw`.

    Raises:
        ValueError: The shapes disagree, or a label has no name.
    """

    labels: NDArray[np.uint8] | NDArray[np.int32]
    """Class number of each pixel."""
    names_en: tuple[str, ...]
    """English names by class number."""
    names_zh: tuple[str, ...]
    """Chinese names by class number."""
    palette: tuple[Color, ...]
    """Colours by class number."""
    scores: NDArray[np.float32] | None = field(default=None, repr=False)
    """Probability of the chosen class of each pixel."""
    source: str | None = None
    """Path of the picture, if it has one."""
    image: Image.Image | None = field(default=None, repr=False)
    """The picture itself, upright RGB."""

    def __post_init__(self) -> None:
        counts = [len(self.names_en), len(self.names_zh), len(self.palette)]
        if len(set(counts)) != 1:
            raise ValueError(
                "names_en, names_zh and palette must have one entry for each class, got "
                + ", ".join(map(str, counts))
            )
        if self.labels.ndim != 2 or (self.scores is not None and self.scores.shape != self.labels.shape):
            scores = None if self.scores is None else self.scores.shape
            raise ValueError(f"labels {self.labels.shape} and scores {scores} must be (H, W)")
        known = {*range(counts[0]), unlabelled(counts[0])}
        wrong = [label for label in _values(self.labels) if label not in known]
        if wrong:
            raise ValueError(f"labels {wrong[:5]} are outside the {counts[0]} classes")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def present(self) -> tuple[int, ...]:
        """Classes that have pixels, most pixels first."""
        counts = np.bincount(self.labels.ravel(), minlength=1)[: len(self.names_en)]
        order = np.argsort(-counts, kind="stable")
        return tuple(int(label) for label in order if counts[label])

    def names(self, language: Language = "en") -> tuple[str, ...]:
        """Return the names of all classes in ``"en"``, ``"zh"`` or ``"both"``.

        Raises:
            ValueError: Another language.
        """
        return names_in(self.names_en, self.names_zh, language)

    def to_json(self, *, masks: bool = False) -> str:
        """Return one line of JSON.

        ``{"source", "size": [height, width], "classes": [{"label", "name_en", "name_zh", "pixels",
        "share"}]}`` for the classes that are there, largest first; ``share`` is of the whole picture.

        Args:
            masks: Add ``"mask"`` to each class, as COCO's run lengths.
        """
        return json.dumps(self.to_record(masks=masks), ensure_ascii=False)

    def to_record(self, *, masks: bool = False) -> dict[str, Any]:
        """Return the object of :meth:`to_json` as a dict."""
        classes = []
        for label in self.present:
            mask = self.labels == label
            row: dict[str, Any] = {
                "label": label,
                "name_en": self.names_en[label],
                "name_zh": self.names_zh[label],
                "pixels": int(mask.sum()),
                "share": round(float(mask.mean()), 6),
            }
            if masks:
                row["mask"] = encode_mask(mask)
            classes.append(row)
        return {"source": self.source, "size": list(self.size), "classes": classes}

    def to_coco(
        self, image_id: int = 0, *, category_ids: Sequence[int] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return one row for each class there, as COCO-Stuff results are.

        ``{"image_id", "category_id", "segmentation"}``, the latter as run lengths.

        Args:
            image_id: The picture's number in the annotation file.
            category_ids: From our class number to the file's category; None takes the class number.
        """
        return [
            {
                "image_id": image_id,
                "category_id": label if category_ids is None else category_ids[label],
                "segmentation": encode_mask(self.labels == label),
            }
            for label in sorted(self.present)
        ]

    def save_masks(self, path: str | os.PathLike[str]) -> None:
        """Write the class numbers as a PNG, whole or not at all.

        Up to 256 classes: 8 bits a pixel with the palette, so that the file shows the colours and its values
        are the class numbers. More classes: 16 bits a pixel.

        Raises:
            ValueError: ``path`` does not end in .png, or its folder does not exist.
        """
        from intern25.data.writing import write_whole

        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path} must end in .png; other formats would change the class numbers")
        picture = self._indexed()
        write_whole(path, lambda temporary: picture.save(temporary, format="PNG"))

    def draw(
        self,
        *,
        language: Language = "en",
        font: str | os.PathLike[str] | None = None,
        opacity: float = 0.55,
        legend: bool = True,
    ) -> Image.Image:
        """Draw the classes over the picture, with a legend below it.

        Args:
            language: Language of the legend; Chinese needs a font that has it.
            font: Font file; None looks for a usual one of the system and falls back to English names
                when Chinese is asked for and no Chinese font is found.
            opacity: Strength of the colours, 0 to 1.
            legend: Whether to name the colours.

        Returns:
            A new RGB picture; as wide as the picture, and higher by the legend.

        Raises:
            ValueError: The result holds no picture, or ``opacity`` is outside 0 to 1.
            OSError: ``font`` cannot be read.
        """
        from intern25.drawing import draw_semantic_map

        return draw_semantic_map(self, language=language, font=font, opacity=opacity, legend=legend)

    def _indexed(self) -> Image.Image:
        from PIL import Image

        if len(self.palette) > 256:
            return Image.fromarray(self.labels.astype(np.uint16))
        picture = Image.fromarray(self.labels.astype(np.uint8))
        # A full palette: Pillow changes pixels whose number has no colour.
        colors = [*self.palette, *[(0, 0, 0)] * (256 - len(self.palette))]
        picture.putpalette([value for color in colors for value in color])
        return picture


def _values(labels: NDArray[np.uint8] | NDArray[np.int32]) -> list[int]:
    """The distinct values; counting is many times faster than sorting, but takes no negative ones."""
    if labels.size and labels.min() < 0:
        return [int(labels.min())]
    return [int(value) for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=1))]
