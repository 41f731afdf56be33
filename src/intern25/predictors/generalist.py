# SPDX-License-Identifier: MIT
"""From pictures to whatever is asked about them, by one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.images import ImageSource
from intern25.data.multimodal.records import Language
from intern25.generalist.model import Generalist
from intern25.generalist.tokenizer import Tokenizer
from intern25.predictors.asking import Asker
from intern25.predictors.classification import ClassificationPredictor
from intern25.predictors.detection import DetectionPredictor
from intern25.predictors.free_names import check_text
from intern25.predictors.inputs import (
    Picture,
    check_batch_size,
    check_threshold,
    device_of,
    predict_each,
    read_picture,
)
from intern25.predictors.name_lists import NameLists
from intern25.predictors.parts import Boxes, box_list
from intern25.predictors.picture_regions import PictureRegions, embedded_regions
from intern25.predictors.picture_texts import PictureTexts
from intern25.predictors.segmentation import SegmentationPredictor
from intern25.results import Classification, Detections, PanopticMap, SemanticMap, Text

SegmentationTask = Literal["semantic", "instance", "panoptic"]
AnySegments = SemanticMap | Detections | PanopticMap


class GeneralistPredictor:
    """Names, finds, segments, describes, answers, reads, refers and embeds: one loaded model for all of it.

    Convention:
        - pictures: whatever :func:`intern25.data.images.read_image` reads - path, PIL image, ``(H, W, C)``
          uint8 array, ``(C, H, W)`` tensor - or a list or tuple of them, also mixed. One result comes back
          for one picture, a list for a list.
        - names, questions and texts: English or Chinese.
        - a picture's result does not depend on the pictures it is given with (up to the rounding of float32).

    Args:
        model: The generalist; put into evaluation mode.
        tokenizer: Turns text into its tokens.
        settings: Sizes, lengths, thresholds and the names that are known by themselves.
        device: Where the model is; None takes that of its parameters.
        batch_size: Pictures that go through the model at once.

    Raises:
        ValueError: ``batch_size`` is below 1.

    Example:
        >>> p = intern25.load("intern25_tiny")  # doctest: +SKIP
        >>> p.detect("street.jpg", classes=["person", "自行车"]).draw()  # doctest: +SKIP
        >>> print(p.ask("street.jpg", "图中有几辆车?"))  # doctest: +SKIP
        两辆
    """

    def __init__(
        self,
        model: Generalist,
        tokenizer: Tokenizer,
        settings: GeneralistSettings | None = None,
        *,
        device: torch.device | None = None,
        batch_size: int = 8,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.settings = settings or GeneralistSettings()
        self.device = device_of(model, device)
        self.batch_size = check_batch_size(batch_size)
        self._texts = PictureTexts(self.model, tokenizer, self.settings, self.device)
        self._asker = Asker(self._texts, self.batch_size)
        self._lists = NameLists(
            self.model, self._texts, self.settings, device=self.device, batch_size=self.batch_size
        )

    def classifier(self, classes: Sequence[str] | None = None) -> ClassificationPredictor:
        """Return the model as a classifier of ``classes``, which :meth:`classify` uses.

        Args:
            classes: Two names or more; None for the usual ones.
        """
        return self._lists.classifier(classes)

    def detector(self, classes: Sequence[str] | None = None) -> DetectionPredictor:
        """Return the model as a detector of ``classes``, which :meth:`detect` uses."""
        return self._lists.detector(classes)

    def segmenter(
        self, classes: Sequence[str] | None = None, things: Sequence[str] | None = None
    ) -> SegmentationPredictor:
        """Return the model as a segmenter of ``classes``, which :meth:`segment` uses.

        Args:
            classes: Names; None for those of the settings.
            things: Those that can be counted; None for all that no data set calls stuff.
        """
        return self._lists.segmenter(classes, things)

    @overload
    def predict(self, images: ImageSource) -> Classification: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, images: Sequence[ImageSource]) -> list[Classification]: ...

    def predict(self, images: ImageSource | Sequence[ImageSource]) -> Classification | list[Classification]:
        """Same as :meth:`classify` with the usual names, as other predictors have it."""
        return self.classify(images)

    # A str is also a sequence of str; the first matching signature wins, as in the body.
    @overload
    def classify(  # type: ignore[overload-overlap]
        self, images: ImageSource, classes: Sequence[str] | None = None, *, top_k: int = 5
    ) -> Classification: ...

    @overload
    def classify(
        self, images: Sequence[ImageSource], classes: Sequence[str] | None = None, *, top_k: int = 5
    ) -> list[Classification]: ...

    def classify(
        self,
        images: ImageSource | Sequence[ImageSource],
        classes: Sequence[str] | None = None,
        *,
        top_k: int = 5,
    ) -> Classification | list[Classification]:
        """Say which of some names fit a picture best.

        Args:
            images: One picture or a list.
            classes: Two names or more, any text; None for those that prompt tuning has left a head for, if
                it has for one task, else those of the settings.
            top_k: Names in each result; all when there are fewer.

        Returns:
            Probabilities over the names.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: A name is empty or there twice, or there are fewer than two.
        """
        return self.classifier(classes).predict(images, top_k=top_k)

    @overload
    def detect(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        classes: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        max_detections: int = 100,
        tile: int | None = None,
    ) -> Detections: ...

    @overload
    def detect(
        self,
        images: Sequence[ImageSource],
        classes: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        max_detections: int = 100,
        tile: int | None = None,
    ) -> list[Detections]: ...

    def detect(
        self,
        images: ImageSource | Sequence[ImageSource],
        classes: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        max_detections: int = 100,
        tile: int | None = None,
    ) -> Detections | list[Detections]:
        """Find objects of some names, with a mask each.

        Args:
            images: One picture or a list.
            classes: Names, any text; None for those of the settings.
            threshold: Smallest score of an object, 0 to 1; None for that of the settings.
            max_detections: Most objects of one picture.
            tile: As for :meth:`DetectionPredictor.predict`.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: A name is empty or there twice, or a number is out of range.
        """
        return self.detector(classes).predict(
            images,
            threshold=threshold,
            max_detections=max_detections,
            tile=tile,
        )

    def segment(
        self,
        images: ImageSource | Sequence[ImageSource],
        classes: Sequence[str] | None = None,
        *,
        task: SegmentationTask = "semantic",
        things: Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> AnySegments | list[SemanticMap] | list[Detections] | list[PanopticMap]:
        """Name pixels, cut out objects, or divide pictures into things and stuff.

        Args:
            images: One picture or a list.
            classes: Names, any text; None for those of the settings.
            task: ``"semantic"`` gives a :class:`SemanticMap`, ``"instance"`` :class:`Detections` with masks,
                ``"panoptic"`` a :class:`PanopticMap`.
            things: Names that can be counted; None for all that no data set calls stuff.
            threshold: Smallest probability of a pixel's name (0 where None), or score of an object or
                segment (that of the settings where None).

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: ``task`` is none, a name is empty or there twice, a thing is no name, a number is out
                of range, or the pixels have one name to choose from.
        """
        predictor = self.segmenter(classes, things)
        if task == "semantic":
            return predictor.predict(images, threshold=0.0 if threshold is None else threshold)
        if task == "instance":
            return predictor.predict_instances(images, threshold=threshold)
        if task == "panoptic":
            return predictor.predict_panoptic(images, threshold=threshold)
        raise ValueError(f"task={task!r} must be 'semantic', 'instance' or 'panoptic'")

    @overload
    def caption(  # type: ignore[overload-overlap]
        self, images: ImageSource, language: Language = "en", *, beams: int = 1
    ) -> Text: ...

    @overload
    def caption(
        self, images: Sequence[ImageSource], language: Language = "en", *, beams: int = 1
    ) -> list[Text]: ...

    def caption(
        self, images: ImageSource | Sequence[ImageSource], language: Language = "en", *, beams: int = 1
    ) -> Text | list[Text]:
        """Describe a picture in a sentence.

        Args:
            images: One picture or a list.
            language: ``"en"`` or ``"zh"``.
            beams: Hypotheses that are followed; more take longer and find likelier sentences.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: ``language`` is another one, or ``beams`` is below 1.
        """
        return predict_each(images, self.batch_size, self._asker.describing(language, beams))

    @overload
    def ask(  # type: ignore[overload-overlap]
        self,
        images: ImageSource,
        question: str,
        answers: Sequence[str] | None = None,
        *,
        language: Language | None = None,
        beams: int = 1,
    ) -> Text: ...

    @overload
    def ask(
        self,
        images: Sequence[ImageSource],
        question: str,
        answers: Sequence[str] | None = None,
        *,
        language: Language | None = None,
        beams: int = 1,
    ) -> list[Text]: ...

    def ask(
        self,
        images: ImageSource | Sequence[ImageSource],
        question: str,
        answers: Sequence[str] | None = None,
        *,
        language: Language | None = None,
        beams: int = 1,
    ) -> Text | list[Text]:
        """Answer a question about a picture.

        Args:
            images: One picture or a list.
            question: The question; a list of pictures is asked the same.
            answers: Two answers or more to choose from; None to write one.
            language: What the result says its language is; None for Chinese where the question has a Chinese
                character. The model answers in the language of the question.
            beams: As for :meth:`caption`; of no meaning with ``answers``.

        Returns:
            The answer; with ``answers`` its probability among them, and the others as alternatives.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: The question is empty or longer than the model reads, or an answer is empty, there
                twice, or alone.
        """
        answer = self._asker.answering(question, answers, language, beams)
        return predict_each(images, self.batch_size, answer)

    @overload
    def read(self, images: ImageSource, boxes: None = None) -> Text: ...  # type: ignore[overload-overlap]

    @overload
    def read(self, images: ImageSource, boxes: Boxes) -> list[Text]: ...

    @overload
    def read(self, images: Sequence[ImageSource], boxes: None = None) -> list[Text]: ...

    @overload
    def read(self, images: Sequence[ImageSource], boxes: Sequence[Boxes]) -> list[list[Text]]: ...

    def read(
        self, images: ImageSource | Sequence[ImageSource], boxes: Boxes | Sequence[Boxes] | None = None
    ) -> Text | list[Text] | list[list[Text]]:
        """Read a picture as one line of text, or parts of it as a line each.

        Args:
            images: One picture or a list.
            boxes: Parts, ``(K, 4)`` left, top, right, bottom in pixels, or found objects; for a list of
                pictures a list of such parts. None reads the whole picture.

        Returns:
            A text for each picture; with ``boxes`` a list of texts for each picture.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: A box holds no pixel, or there are other numbers of pictures and of lists of boxes.
        """
        if boxes is None:
            return predict_each(images, self.batch_size, self._asker.read)
        if not isinstance(images, list | tuple):
            return self._asker.read_parts(
                read_picture(cast(ImageSource, images)), box_list(cast(Boxes, boxes))
            )
        lists = [box_list(part) for part in cast(Sequence[Boxes], boxes)]
        if len(lists) != len(images):
            raise ValueError(f"{len(lists)} lists of boxes for {len(images)} pictures; give one for each")
        return [
            self._asker.read_parts(read_picture(image), parts)
            for image, parts in zip(images, lists, strict=True)
        ]

    @overload
    def refer(  # type: ignore[overload-overlap]
        self, images: ImageSource, phrase: str, *, threshold: float | None = None
    ) -> Detections: ...

    @overload
    def refer(
        self, images: Sequence[ImageSource], phrase: str, *, threshold: float | None = None
    ) -> list[Detections]: ...

    def refer(
        self, images: ImageSource | Sequence[ImageSource], phrase: str, *, threshold: float | None = None
    ) -> Detections | list[Detections]:
        """Find the region that a phrase means, such as ``"the car on the left"``.

        Args:
            images: One picture or a list.
            phrase: What to find.
            threshold: All regions of at least this probability, maybe none; None for the likeliest.

        Returns:
            Regions with their probability among all regions of the picture, and with masks.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
            ValueError: The phrase is empty or too long, or ``threshold`` is out of range.
        """
        least = 0.0 if threshold is None else check_threshold(threshold)
        predictor = self._lists.phrase(check_text(phrase, "phrase"))
        most = 1 if threshold is None else self.model.config.proposals.num_queries
        return predictor.predict(images, threshold=least, max_detections=most, tile=0)

    def embed_image(self, images: ImageSource | Sequence[ImageSource]) -> NDArray[np.float32]:
        """Return one embedding of length 1 a picture, ``(N, d)``, to be compared with those of texts.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
        """

        def embed(pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
            return list(self._texts.embedded_images([image for image, _ in pictures]))

        rows = predict_each(images, self.batch_size, embed)
        return self._stacked(rows if isinstance(rows, list) else [rows])

    def embed_regions(self, images: ImageSource | Sequence[ImageSource]) -> list[PictureRegions]:
        """Return the regions of each picture that may be objects, embedded to be compared with texts.

        Raises:
            ImageReadError: A picture cannot be read; the message names it.
        """

        def embed(pictures: Sequence[Picture]) -> list[PictureRegions]:
            return embedded_regions(
                self.model, self.settings.detection, [image for image, _ in pictures], device=self.device
            )

        found = predict_each(images, self.batch_size, embed)
        return found if isinstance(found, list) else [found]

    def embed_text(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """Return one embedding of length 1 a text, ``(T, d)``.

        Raises:
            ValueError: A text is empty or longer than the model reads.
        """
        listed = [check_text(text, "text") for text in ([texts] if isinstance(texts, str) else texts)]
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(listed), self.batch_size):
            rows.extend(self._texts.embedded_texts(listed[start : start + self.batch_size]))
        return self._stacked(rows)

    def compare(
        self, images: ImageSource | Sequence[ImageSource], texts: str | Sequence[str]
    ) -> NDArray[np.float32]:
        """Return how well each text fits each picture: cosines ``(N, T)``, -1 to 1."""
        similarity: NDArray[np.float32] = self.embed_image(images) @ self.embed_text(texts).T
        return similarity

    def _stacked(self, rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(rows) if rows else np.zeros((0, self.model.config.width), dtype=np.float32)
