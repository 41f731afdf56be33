# SPDX-License-Identifier: MIT
"""One generalist as a classifier, detector or segmenter of any names; the last few lists are kept ready."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from intern25.data.class_names import ClassNames
from intern25.data.generalist_settings import GeneralistSettings
from intern25.data.preprocessing import Preprocessing
from intern25.data.things import countable
from intern25.generalist.closed_lists import ListClassifier, ListDetector
from intern25.generalist.model import Generalist
from intern25.generalist.prompt_tuning import only_head
from intern25.generalist.tokenizer import TokenBatch
from intern25.predictors.classification import ClassificationPredictor
from intern25.predictors.detection import DetectionPredictor
from intern25.predictors.free_names import check_names, with_translations
from intern25.predictors.inputs import class_numbers
from intern25.predictors.list_segments import ListQuerySegmenter
from intern25.predictors.picture_texts import PictureTexts
from intern25.predictors.referring import PhraseDetector
from intern25.predictors.segmentation import SegmentationPredictor

KEPT_LISTS = 8
"""Lists of names that are kept ready for each task."""

_Names = tuple[str, ...] | None


class NameLists:
    """Predictors for lists of names.

    Args:
        model: The generalist, in evaluation mode.
        texts: Turns names into tokens.
        settings: Transforms and the names that are known by themselves.
        device: Where the model is.
        batch_size: Pictures that go through the model at once.
    """

    def __init__(
        self,
        model: Generalist,
        texts: PictureTexts,
        settings: GeneralistSettings,
        *,
        device: torch.device,
        batch_size: int,
    ) -> None:
        self.model = model
        self.texts = texts
        self.settings = settings
        self.device = device
        self.batch_size = batch_size
        self._classifier = lru_cache(KEPT_LISTS)(self._new_classifier)
        self._detector = lru_cache(KEPT_LISTS)(self._new_detector)
        self._segmenter = lru_cache(KEPT_LISTS)(self._new_segmenter)
        self._phrase = lru_cache(KEPT_LISTS)(self._new_phrase)

    def classifier(self, classes: Sequence[str] | None) -> ClassificationPredictor:
        """Return the predictor that tells pictures of two or more names apart."""
        return self._classifier(None if classes is None else check_names(classes, fewest=2))

    def detector(self, classes: Sequence[str] | None) -> DetectionPredictor:
        """Return the predictor that finds objects of the names."""
        return self._detector(None if classes is None else check_names(classes))

    def segmenter(
        self, classes: Sequence[str] | None, things: Sequence[str] | None = None
    ) -> SegmentationPredictor:
        """Return the predictor that names pixels, of which ``things`` can be counted."""
        return self._segmenter(
            None if classes is None else check_names(classes),
            None if things is None else check_names(things, argument="things"),
        )

    def phrase(self, phrase: str) -> DetectionPredictor:
        """Return the predictor that finds what a phrase means."""
        return self._phrase(phrase)

    def _new_classifier(self, classes: _Names) -> ClassificationPredictor:
        tuned = only_head(self.model) if classes is None else None
        if tuned is None:
            names = self._names(classes, self.settings.classify_names)
            model = ListClassifier(self.model, self._tokens(classes or names.en))
        else:
            head, names = tuned
            # Cut where the training cut them.
            tokens = self.texts.tokenizer.encode(names.en, max_length=self.settings.name_length)
            model = ListClassifier(self.model, tokens, head=head)
        how = Preprocessing(self.settings.classify_size, crop="squash", interpolation="bilinear")
        return ClassificationPredictor(model, how, names, batch_size=self.batch_size, device=self.device)

    def _new_detector(self, classes: _Names) -> DetectionPredictor:
        names = self._names(classes, self.settings.detect_names)
        model = ListDetector(self.model, self._tokens(classes or names.en))
        return self._detecting(model, names)

    def _new_phrase(self, phrase: str) -> DetectionPredictor:
        model = PhraseDetector(self.model, self._tokens([phrase], what="phrase"))
        return self._detecting(model, ClassNames(en=(phrase,), zh=(phrase,)))

    def _detecting(self, model: ListDetector, names: ClassNames) -> DetectionPredictor:
        how = self.settings.detection
        return DetectionPredictor(
            model,
            how,
            names,
            threshold=self.settings.detect_threshold,
            batch_size=self.batch_size,
            device=self.device,
        )

    def _new_segmenter(self, classes: _Names, things: _Names) -> SegmentationPredictor:
        names = self._names(classes, self.settings.segment_names)
        typed = classes or names.en
        if things is None:
            known = self.settings.things if classes is None else None
            things = known if known is not None else countable(typed)
        counted = (class_numbers(things, names, argument="things") or ()) if things else ()
        return SegmentationPredictor(
            ListQuerySegmenter(self.model, self._tokens(typed), counted),  # type: ignore[arg-type]
            self.settings.segmentation,
            names,
            things=tuple(names.en[row] for row in counted),
            instance_threshold=self.settings.detect_threshold,
            panoptic_threshold=self.settings.panoptic_threshold,
            batch_size=self.batch_size,
            device=self.device,
        )

    def _names(self, classes: _Names, usual: ClassNames) -> ClassNames:
        if classes is None:
            return usual
        own = self.settings
        return with_translations(classes, [usual, own.detect_names, own.classify_names, own.segment_names])

    def _tokens(self, names: Sequence[str], what: str = "name") -> TokenBatch:
        return self.texts.tokens(names, longest=self.settings.name_length, what=what)
