# SPDX-License-Identifier: MIT
"""Rendered street scenes as what each task learns from: questions, captions, objects, regions, references."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.data.detection.masks import RunLengths
from intern25.data.multimodal.records import Language, Question, Reference, Sentence
from intern25.data.run_lengths import encode_mask
from intern25.data.scenes.captions import describe, statements
from intern25.data.scenes.classes import OBJECT_CLASSES, SEMANTIC_CLASSES, VOID
from intern25.data.scenes.dataset import StreetScenes
from intern25.data.scenes.driving import questions
from intern25.data.scenes.facts import Facts
from intern25.data.scenes.naming import FULL_NAMES, full_name
from intern25.data.scenes.references import references
from intern25.data.scenes.rendering import View
from intern25.data.scenes.scene import Scene
from intern25.data.seeding import derive_seed
from intern25.data.segmentation.batch import IGNORED

Pixels = NDArray[np.uint8]
_KEPT_VIEWS = 64
_POSTED = ("traffic light", "traffic sign")
_AROUND, _LEAST_WINDOW = 1.8, 48
_VERDICTS: dict[Language, tuple[str, str]] = {"en": ("false", "true"), "zh": ("错", "对")}
TRUE_OR_FALSE: dict[Language, str] = {"en": "true or false: {}", "zh": "对还是错：{}"}
"""How a statement is put as a question."""


class _Scenes:
    """Scenes with their last views kept: picture, boxes and texts of one scene are asked for one by one."""

    def __init__(self, scenes: StreetScenes) -> None:
        self.scenes = scenes
        self._seen = lru_cache(maxsize=_KEPT_VIEWS)(self._look)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_seen"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._seen = lru_cache(maxsize=_KEPT_VIEWS)(self._look)

    def _look(self, index: int) -> tuple[Scene, View]:
        return self.scenes.scene(index), self.scenes.view(index)

    def name(self, index: int) -> str:
        """Name of a scene."""
        return f"scene-{index}"

    def pixels(self, index: int) -> Pixels:
        """Picture of a scene, ``(H, W, 3)``."""
        return self._seen(index)[1].image


class SceneQuestions(_Scenes):
    """A driver's questions and statements to be judged; implements ``QuestionSource``.

    Args:
        scenes: The scenes.
        count: Most questions of a scene, of which one is a statement.
    """

    def __init__(self, scenes: StreetScenes, *, count: int = 4) -> None:
        super().__init__(scenes)
        self.count = count

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pixels(index)

    def questions(self, index: int, seed: int) -> Sequence[Question]:
        """Return questions in a language of the draw."""
        scene, view = self._seen(index)
        generator = np.random.default_rng(derive_seed(seed, index))
        language: Language = "zh" if generator.random() < 0.5 else "en"
        asked = list(questions(scene, view, language, generator, self.count - 1))
        asked.extend(
            Question(
                text=TRUE_OR_FALSE[language].format(said.text),
                answers=(_VERDICTS[language][said.is_true],),
                language=language,
                kind="statement",
            )
            for said in statements(scene, view, language, generator, 1)
        )
        return asked


class SceneCaptions(_Scenes):
    """One caption in each language; implements ``Pictures[Sentence]``."""

    def image(self, index: int) -> Pixels:
        """Return a picture."""
        return self.pixels(index)

    def items(self, index: int) -> tuple[Sentence, ...]:
        """Captions of a scene."""
        scene, view = self._seen(index)
        generator = np.random.default_rng(derive_seed(index, 1))
        languages: tuple[Language, ...] = ("en", "zh")
        return tuple(
            Sentence(text=describe(scene, view, language, generator), language=language)
            for language in languages
        )


class SceneObjects(_Scenes):
    """Objects with boxes and masks; implements ``DetectionImages``."""

    @property
    def classes(self) -> ClassNames:
        """Classes of scene objects."""
        return OBJECT_CLASSES

    def image_id(self, index: int) -> int:
        """Number of a scene."""
        return index

    def image(self, index: int) -> Image.Image:
        """Return a picture."""
        return Image.fromarray(self.pixels(index))

    def annotation(self, index: int) -> Annotation:
        """Boxes and masks of what is visible."""
        view = self._seen(index)[1]
        rows = AnnotationRows()
        for number, found in enumerate(view.objects):
            rows.add(
                found.box, found.label, number,
                mask=cast(RunLengths, encode_mask(found.mask)), area=float(found.mask.sum()),
            )  # fmt: skip
        return rows.annotation(self.scenes.size)


class SceneRegions(_Scenes):
    """Semantic maps of CamVid's classes; implements ``SemanticImages``."""

    @property
    def classes(self) -> ClassNames:
        """The classes of CamVid."""
        return SEMANTIC_CLASSES

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.scenes.size

    def image(self, index: int) -> Image.Image:
        """Return a picture."""
        return Image.fromarray(self.pixels(index))

    def mask(self, index: int) -> Pixels:
        """Class of each pixel, 255 where it has none."""
        semantic = self._seen(index)[1].semantic
        return np.where(semantic == VOID, np.uint8(IGNORED), semantic)


class SceneThings(_Scenes):
    """Windows around clearly seen things and their full names; implements ``NamedParts``.

    Args:
        scenes: The scenes.
        count: Most things of a scene: lights and signs before others.
    """

    def __init__(self, scenes: StreetScenes, *, count: int = 4) -> None:
        super().__init__(scenes)
        self.count = count

    @property
    def classes(self) -> ClassNames:
        """All full names."""
        return FULL_NAMES

    def parts(self, index: int, seed: int) -> Sequence[tuple[Pixels, int]]:
        """Return windows of a scene, each with the number of its thing's name."""
        scene, view = self._seen(index)
        facts = Facts(scene, view)
        order = np.random.default_rng(derive_seed(seed, index)).permutation(len(facts.clear)).tolist()
        seen = sorted(
            (facts.clear[place] for place in order), key=lambda v: facts.thing(v).kind not in _POSTED
        )
        names = [full_name(facts, thing, "en") for thing in seen]
        return [
            (_window(view.image, thing.box), FULL_NAMES.en.index(name))
            for thing, name in zip(seen, names, strict=True)
            if name is not None
        ][: self.count]


def _window(image: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """Square around a box, moved into the picture where it would leave it."""
    left, top, right, bottom = box
    side = round(min(max(_AROUND * max(right - left, bottom - top), _LEAST_WINDOW), *image.shape[:2]))
    x = round(min(max((left + right - side) / 2, 0), image.shape[1] - side))
    y = round(min(max((top + bottom - side) / 2, 0), image.shape[0] - side))
    return image[y : y + side, x : x + side]


class SceneReferences(_Scenes):
    """Objects and phrases that mean one of them; implements ``ReferredPictures``.

    Args:
        scenes: The scenes.
        count: Most phrases of a scene.
    """

    def __init__(self, scenes: StreetScenes, *, count: int = 4) -> None:
        super().__init__(scenes)
        self.count = count

    def sample(self, index: int, seed: int) -> tuple[Pixels, NDArray[np.float32], Sequence[Reference]]:
        """Return picture, boxes and phrases in a language of the draw."""
        scene, view = self._seen(index)
        generator = np.random.default_rng(derive_seed(seed, index))
        language: Language = "zh" if generator.random() < 0.5 else "en"
        boxes = np.array([found.box for found in view.objects], dtype=np.float32).reshape(-1, 4)
        return view.image, boxes, references(scene, view, language, generator, self.count)
