# SPDX-License-Identifier: MIT
"""A trained file is used as its tasks have seen their pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.generalist_settings import SETTINGS, GeneralistSettings
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Line
from intern25.data.picture_views import PictureView
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.tasks.metrics import caption_scores, reading_scores
from intern25.generalist.tasks.questions import CaptionedPictures, QuestionSource, WrittenPictures
from intern25.generalist.tasks.retrieval import RetrievalTask
from intern25.generalist.tasks.writing import Metric, WritingTask
from intern25.generalist.tokenizer import Tokenizer, train_tokenizer
from intern25.predictors import GeneralistPredictor, load_as
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.generalist.packs.settings import PackSettings
from intern25.training.generalist.packs.tiny import tiny_mixture
from intern25.training.generalist.run import train_generalist
from intern25.training.generalist.start import starting_model, starting_settings
from intern25.training.generalist.trained_settings import trained_settings
from intern25.weights.generalists import GeneralistCard
from tests.generalist.small_model import small_generalist
from tests.generalist.tasks.made_tasks import (
    TOKENIZER,
    answer,
    captioned,
    classify,
    detect,
    labelled,
    segment,
)

USUAL = GeneralistSettings()


def view(height: int, width: int) -> PictureView:
    return PictureView(size=(height, width))


def written(name: str, source: QuestionSource, size: tuple[int, int], metric: Metric) -> WritingTask:
    return WritingTask(name, source, source, TOKENIZER, view=view(*size), metric=metric)


def lines() -> WrittenPictures:
    images = labelled(3)
    records = tuple((Line(text="stop", language="en"),) for _ in images.names)
    return WrittenPictures(AnnotatedPictures(images.names, records, images.store))


def asked(size: tuple[int, int], name: str = "answer") -> WritingTask:
    task = answer()
    task.view, task.name = view(*size), name
    return task


def part(task: Any, share: float = 1.0) -> MixturePart:
    return MixturePart(task=task, batch_size=2, share=share)


def all_kinds() -> Mixture:
    retrieve = RetrievalTask("retrieve", captioned(4), captioned(2), TOKENIZER, view=view(96, 64))
    captions = written("caption", CaptionedPictures(captioned(4)), (64, 96), caption_scores)
    read = written("read", lines(), (32, 160), reading_scores)
    tasks = (
        classify(),
        retrieve,
        captions,
        read,
        asked((64, 128)),
        asked((96, 96), "more"),
        detect(),
        segment(),
    )
    return Mixture(tuple(map(part, tasks)))


def test_every_kind_of_task_says_how_it_sees() -> None:
    found = trained_settings(all_kinds(), USUAL)
    assert found == replace(
        USUAL,
        classify_size=64,
        embed_size=(96, 64),
        caption_size=(64, 96),
        read_size=(32, 160),
        ask_sizes=((64, 128), (96, 96)),
        detection=DetectionPreprocessing(short_side=64, long_side=64),
        segmentation=SegmentationPreprocessing(short_side=64, long_side=64),
    )


def test_the_largest_share_decides_and_all_sizes_of_questions_count() -> None:
    small, large = classify(), classify()
    small.view, small.name = view(32, 32), "small"
    large.view, large.name = view(96, 96), "large"
    sizes = [part(asked((64, 64), "a")), part(asked((96, 64), "b"), 1.5), part(asked((64, 64), "c"))]
    for share, size in ((0.5, 96), (1.0, 32), (2.0, 32)):
        mixture = Mixture((part(small, share), part(large, 1.0), *sizes))
        found = trained_settings(mixture, USUAL)
        assert found.classify_size == size
        assert set(found.ask_sizes) == {(64, 64), (96, 64)}


def test_a_size_that_one_of_several_sizes_is_and_no_other_task_has_is_not_for_questions() -> None:
    several = asked((160, 128), "d")
    several.other_sizes = ((64, 64),)
    first = part(asked((64, 64), "a"))
    found = trained_settings(Mixture((first, part(several, 3.0))), USUAL)
    assert set(found.ask_sizes) == {(64, 64)}
    found = trained_settings(Mixture((first, part(several, 3.0), part(asked((160, 128), "e"), 0.01))), USUAL)
    assert set(found.ask_sizes) == {(64, 64), (160, 128)}
    alone = trained_settings(Mixture((part(several),)), USUAL)
    assert set(alone.ask_sizes) == {(64, 64), (160, 128)}


def test_what_no_task_says_stays_as_it_was() -> None:
    start = replace(USUAL, read_size=(64, 128), ask_sizes=((64, 64),), detect_threshold=0.7)
    assert trained_settings(Mixture((part(classify()),)), start) == replace(start, classify_size=64)

    @dataclass
    class Silent:
        name: str = "silent"
        said: list[str] = field(default_factory=list)

        def __len__(self) -> int:
            return 3

    assert trained_settings(Mixture((part(Silent()),)), start) == start


def test_a_task_without_questions_says_nothing() -> None:
    empty = written("empty", CaptionedPictures(uncaptioned()), (64, 64), caption_scores)
    assert empty.settings() == {}


def uncaptioned() -> AnnotatedPictures[Any]:
    pictures = captioned(2)
    return replace(pictures, records=((), ()))


def run_of(tmp_path: Path, name: str, start: Path, **changes: Any) -> GeneralistTrainConfig:
    settings: dict[str, Any] = {
        "pretrained": str(start), "output": str(tmp_path / name), "updates": 2, "warmup_updates": 0,
        "eval_updates": 2, "workers": 0, "tensorboard": False, "device": "cpu", **changes,
    }  # fmt: skip
    return GeneralistTrainConfig(**settings)


def test_a_trained_file_is_used_at_the_sizes_it_was_trained_at(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    before = replace(USUAL, read_size=(64, 96), detect_threshold=0.2)
    save_generalist(start, small_generalist(), extra={SETTINGS: before.to_json()})
    mixture = Mixture((part(classify()), part(asked((64, 96))), part(asked((96, 64), "tall"))))
    result = train_generalist(run_of(tmp_path, "run", start), mixture)
    expected = replace(before, classify_size=64, ask_sizes=((64, 96), (96, 64)))
    for name in ("best.safetensors", "final.safetensors"):
        file = load_generalist(result.output / name)
        assert GeneralistSettings.from_json(file.extra[SETTINGS]) == expected
        assert {"train_config", "metrics"} <= file.extra.keys()
    p = load_as(GeneralistPredictor, result.output / "final.safetensors", device="cpu")
    assert p.settings == expected
    sizes: list[tuple[int, ...]] = []
    encode = p.model.encode_image
    p.model.encode_image = lambda x, **more: (sizes.append(tuple(x.shape[2:])), encode(x, **more))[1]  # type: ignore
    for height, width in ((30, 50), (50, 30)):
        p.ask(Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)), "what?", ["yes", "no"])
    assert sizes == [(64, 96), (96, 64)]


def test_a_file_keeps_its_own_tokenizer(tmp_path: Path) -> None:
    own = train_tokenizer(["red green blue"] * 4, 300)
    start = tmp_path / "start.safetensors"
    save_generalist(start, small_generalist(), tokenizer=own)
    result = train_generalist(run_of(tmp_path, "run", start), Mixture((part(classify()),)))
    assert load_generalist(result.output / "final.safetensors").tokenizer.to_json() == own.to_json()


def test_a_run_starts_from_weights_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped.safetensors"
    save_generalist(shipped, small_generalist(), extra={SETTINGS: replace(USUAL, classify_size=96).to_json()})
    monkeypatch.setattr(GeneralistCard, "packaged_path", property(lambda card: shipped))
    config = run_of(tmp_path, "run", Path("intern25_tiny"))
    assert starting_settings(config).classify_size == 96
    model = starting_model(config, Mixture((part(classify()),)))
    assert torch.equal(model.special, load_generalist(shipped).model.special)


def test_settings_that_are_none_are_told_before_the_training(tmp_path: Path) -> None:
    start = tmp_path / "odd.safetensors"
    save_generalist(start, small_generalist(), extra={SETTINGS: '{"ask": 3}'})
    config = run_of(tmp_path, "run", start)
    with pytest.raises(ValueError, match="not the settings of a generalist"):
        train_generalist(config, all_kinds())
    assert not Path(config.output).exists()
    assert starting_settings(replace(config, pretrained="")) == USUAL


def test_other_shares_are_another_run(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_generalist(start, small_generalist())
    config = run_of(tmp_path, "run", start, max_seconds=1e-6)
    parts = (part(classify()), part(asked((64, 64))))
    assert train_generalist(config, Mixture(parts)).updates == 1
    with pytest.raises(ValueError, match=r"other settings or data; .*: share of answer was 1.0, is 2.5$"):
        train_generalist(config, Mixture((parts[0], replace(parts[1], share=2.5))))
    assert train_generalist(config, Mixture(parts)).updates == 2
    assert json.loads((tmp_path / "run" / "config.json").read_text())["updates"] == 2


@pytest.mark.shared
def test_the_packs_are_used_as_they_are_learnt(shared_root: Path) -> None:
    settings = PackSettings(tokenizer=Tokenizer.packaged(), evaluate_most=4, scenes=8)
    names = ("classify_signs_cn", "caption", "retrieval", "vqa", "reasoning", "drive", "read_words")
    mixture = tiny_mixture(shared_root / "data", settings, tasks=names)
    found = trained_settings(mixture, USUAL)
    assert set(found.ask_sizes) == {(192, 256), (128, 128), (96, 96), (64, 256)}
    assert (found.classify_size, found.read_size, found.caption_size) == (64, (48, 256), (128, 128))
    # And what is scored during the training is no more than was asked for.
    scored = [len(p.task.scored()) for p in mixture.parts if hasattr(p.task, "scored")]
    assert scored == [4, 4, 4]
