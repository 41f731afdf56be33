# SPDX-License-Identifier: MIT
"""Words to read, from photographs and rendered."""

from __future__ import annotations

from intern25.data.multimodal.fonts import FontShelf
from intern25.data.multimodal.records import Language
from intern25.data.multimodal.rendered_text import RenderedText
from intern25.data.multimodal.words import read_words
from intern25.data.packs import PackFolder
from intern25.data.picture_views import PictureView
from intern25.generalist.tasks.metrics import reading_scores
from intern25.generalist.tasks.questions import (
    WrittenPictures,
)
from intern25.generalist.tasks.writing import WritingTask
from intern25.training.generalist.mixture import MixturePart
from intern25.training.generalist.packs.settings import (
    HELD_OUT_SCENES,
    TEST_SEED,
    VAL_SEED,
    PackSettings,
    held_out_part,
)


def words(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Words cut out of photographs: IIIT5K."""
    path = packs.path("scene_text_words")
    if path is None:
        return None
    train, val = held_out_part(read_words(path, subset="iiit5k").decoded_in_memory(), settings.seed, 0.1)
    if settings.held_out == "test":
        val = read_words(path, split="test", subset="iiit5k")
    task = WritingTask(
        "read_words",
        WrittenPictures(train),
        WrittenPictures(val),
        settings.tokenizer,
        view=PictureView(size=(48, 256), shift=0.06, jitter=0.5, grey=0.1, turn=3, blur=0.25),
        metric=reading_scores,
        max_length=28,
        characters=True,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=48, share=2.0)


def rendered(packs: PackFolder, settings: PackSettings) -> MixturePart | None:
    """Rendered words and lines, Chinese where a font has it."""
    languages: tuple[Language, ...] = ("en", "zh") if FontShelf().supports("的") else ("en",)
    train = RenderedText(settings.scenes, settings.seed, languages=languages)
    seed = TEST_SEED if settings.held_out == "test" else VAL_SEED
    val = RenderedText(settings.evaluate_most or HELD_OUT_SCENES, seed, languages=languages)
    task = WritingTask(
        "read_rendered",
        WrittenPictures(train),
        WrittenPictures(val),
        settings.tokenizer,
        view=PictureView(size=(48, 256), jitter=0.2),
        metric=reading_scores,
        max_length=28,
        characters=True,
        evaluate_most=settings.evaluate_most,
    )
    return MixturePart(task=task, batch_size=48, share=3.2)
