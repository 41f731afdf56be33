# SPDX-License-Identifier: MIT
"""One task of each kind on pictures of coloured squares, and what it learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from intern25.data.class_names import ClassNames
from intern25.data.detection.annotations import Annotation, AnnotationRows
from intern25.data.detection.augmentation import DetectionAugmentation
from intern25.data.detection.masks import RunLengths
from intern25.data.labelled import LabelledImages, Splits
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Question, Reference, Sentence
from intern25.data.picture_views import PictureView
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.data.run_lengths import encode_mask
from intern25.data.segmentation.augmentation import SegmentationAugmentation
from intern25.data.stores import MemoryStore
from intern25.generalist.proposal_criterion import ProposalCriterion, ProposalWeights
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tasks.detection import DetectionTask
from intern25.generalist.tasks.metrics import answer_accuracy
from intern25.generalist.tasks.questions import AskedPictures
from intern25.generalist.tasks.referring import ReferringTask
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.segmentation import SegmentationTask
from intern25.generalist.tasks.task import TrainingTask
from intern25.generalist.tasks.writing import WritingTask
from intern25.generalist.tokenizer import Tokenizer

SIDE = 64
COLOURS = ClassNames(en=("red", "green", "blue"), zh=("红", "绿", "蓝"))
TOKENIZER = Tokenizer.packaged()
CRITERION = ProposalCriterion(ProposalWeights(points=32))
VIEW = PictureView(size=(SIDE, SIDE), shift=0.05, jitter=0.1)


@dataclass(frozen=True)
class Squares:
    """``count`` pictures with one square of each of two colours; implements what tasks read.

    The colour of the square on the left is the number of the picture modulo 3, that on the right the next.
    """

    count: int
    masks: bool = True
    classes: ClassNames = COLOURS

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"squares-{index}"

    def image_id(self, index: int) -> int:
        return index

    def size(self, index: int) -> tuple[int, int]:
        return SIDE, SIDE

    def boxes(self, index: int) -> list[tuple[int, int, int, int]]:
        """Left, top, right, bottom of both squares."""
        draw = np.random.default_rng(index)
        side, top = int(draw.integers(14, 24)), int(draw.integers(0, 40))
        return [(4, top, 4 + side, top + side), (36, top, 36 + side, top + side)]

    def colours(self, index: int) -> tuple[int, int]:
        return index % 3, (index + 1) % 3

    def pixels(self, index: int) -> NDArray[np.uint8]:
        draw = np.random.default_rng(index)
        pixels = draw.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        for (left, top, right, bottom), colour in zip(self.boxes(index), self.colours(index), strict=True):
            pixels[top:bottom, left:right, colour] = 220
        return pixels

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels(index))

    def annotation(self, index: int) -> Annotation:
        rows = AnnotationRows()
        for number, (box, colour) in enumerate(zip(self.boxes(index), self.colours(index), strict=True)):
            mask = cast(RunLengths, encode_mask(_filled(box))) if self.masks else None
            rows.add(box, colour, number, mask=mask)
        return rows.annotation((SIDE, SIDE))

    def mask(self, index: int) -> NDArray[np.uint8]:
        labels = np.full((SIDE, SIDE), 255, dtype=np.uint8)
        for box, colour in zip(self.boxes(index), self.colours(index), strict=True):
            labels[_filled(box)] = colour
        return labels

    def sample(
        self, index: int, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], Sequence[Reference]]:
        names = [COLOURS.en[colour] for colour in self.colours(index)]
        phrases = [
            Reference(text=f"the {name} square", index=place, language="en")
            for place, name in enumerate(names)
        ]
        return self.pixels(index), np.array(self.boxes(index), dtype=np.float32), phrases


def _filled(box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def labelled(count: int) -> LabelledImages:
    """Squares, labelled with the colour on the left."""
    squares = Squares(count)
    names = tuple(squares.name(index) for index in range(count))
    store = MemoryStore({name: squares.pixels(index) for index, name in enumerate(names)})
    return LabelledImages(names, tuple(index % 3 for index in range(count)), COLOURS.en, store)


def captioned(count: int) -> AnnotatedPictures[Sentence]:
    """Squares with a caption in each language."""
    images = labelled(count)
    records = tuple(
        (
            Sentence(text=f"{COLOURS.en[label]} beside {COLOURS.en[(label + 1) % 3]}", language="en"),
            Sentence(text=f"{COLOURS.zh[label]}色", language="zh"),
        )
        for label in images.labels
    )
    return AnnotatedPictures(images.names, records, images.store)


def asked(count: int, *, without: Sequence[int] = ()) -> AnnotatedPictures[Question]:
    """Squares with two questions, those of ``without`` with none."""
    images = labelled(count)

    def questions(index: int, label: int) -> tuple[Question, ...]:
        if index in without:
            return ()
        left, right = COLOURS.en[label], COLOURS.zh[(label + 1) % 3]
        return (
            Question(text="what is on the left", answers=(left,), language="en", kind="colour"),
            Question(text="右边是什么", answers=(right,), language="zh", kind="colour"),
        )

    records = tuple(questions(index, label) for index, label in enumerate(images.labels))
    return AnnotatedPictures(images.names, records, images.store)


def classify(count: int = 6, *, mix: float = 0.0) -> ClassificationTask:
    splits = Splits(labelled(count), labelled(3))
    return ClassificationTask("classify", splits, COLOURS, TOKENIZER, view=VIEW, mix=mix)


def retrieve(count: int = 6) -> RetrievalTask:
    return RetrievalTask("retrieve", captioned(count), captioned(3), TOKENIZER, view=VIEW)


def answer(count: int = 6, *, regions: int = 0) -> WritingTask:
    return WritingTask(
        "answer",
        AskedPictures(asked(count)),
        AskedPictures(asked(3)),
        TOKENIZER,
        view=VIEW,
        metric=answer_accuracy,
        questions_per_picture=2,
        regions=regions,
        max_length=4,
        candidates=(*COLOURS.en, *COLOURS.zh),
        negatives=4,
    )


def detect(count: int = 6, *, masks: bool = True) -> DetectionTask:
    return DetectionTask(
        "detect",
        Squares(count, masks),
        Squares(3, masks),
        TOKENIZER,
        augmentation=DetectionAugmentation(short_side=SIDE, long_side=SIDE, flip=0.5),
        preprocessing=DetectionPreprocessing(short_side=SIDE, long_side=SIDE),
        criterion=CRITERION,
        masks=masks,
    )


def segment(count: int = 6) -> SegmentationTask:
    return SegmentationTask(
        "segment",
        Squares(count),
        Squares(3),
        TOKENIZER,
        augmentation=SegmentationAugmentation(
            crop=(SIDE, SIDE), short_side=SIDE, long_side=SIDE, scale=(1.0, 1.2), photometric=0.0
        ),
        preprocessing=SegmentationPreprocessing(short_side=SIDE, long_side=SIDE),
    )


def refer(count: int = 6) -> ReferringTask:
    return ReferringTask("refer", Squares(count), Squares(3), TOKENIZER, criterion=CRITERION)


TASKS: dict[str, Callable[[], TrainingTask]] = {
    "classify": classify,
    "retrieve": retrieve,
    "answer": answer,
    "detect": detect,
    "segment": segment,
    "refer": refer,
}
