# SPDX-License-Identifier: MIT
"""One model for all tasks: against scalar loops, in batches, optimised, from files, and with bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from intern25.data.class_names import ClassNames
from intern25.data.images import ImageReadError
from intern25.data.picture_views import PictureView
from intern25.generalist.files import save_generalist
from intern25.generalist.prompt_tuning import add_prompts, name_classes
from intern25.generalist.prompts import CAPTION, READ
from intern25.generalist.routing import ANSWERING, DETECTION, MATCHING
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from intern25.predictors import (
    ClassificationPredictor,
    DetectionPredictor,
    GeneralistPredictor,
    SegmentationPredictor,
    load,
    load_as,
)
from intern25.predictors.inputs import DAMAGED
from intern25.predictors.list_segments import ListQuerySegmenter
from intern25.results import Detections, PanopticMap, SemanticMap, Text
from tests.small_generalist import small_generalist
from tests.small_model import save_small_model
from tests.used_generalist import SETTINGS, pictures, save_used_generalist, used_generalist

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
QUESTION, ANSWERS = "图中有什么?", ("红色", "a blue bus", "没有")


@pytest.fixture(scope="module")
def predictor() -> GeneralistPredictor:
    return used_generalist()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_used_generalist(tmp_path_factory.mktemp("generalist") / "small.safetensors")


def seen(picture: Image.Image, size: tuple[int, int]) -> Tensor:
    """``(1, 3, *size)``, normalised in float64 by hand."""
    pixels = PictureView(size=size).plain(np.asarray(picture)).numpy().transpose(1, 2, 0) / 255.0
    return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1)[None]).float()


def softmax(values: list[float]) -> list[float]:
    shares = [math.exp(value - max(values)) for value in values]
    return [share / sum(shares) for share in shares]


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return dot / math.sqrt(sum(x * x for x in a.tolist()) * sum(y * y for y in b.tolist()))


def token_rows(predictor: GeneralistPredictor, texts: tuple[str, ...]) -> list[TokenBatch]:
    """Each text alone, so that nothing is padded."""
    return [predictor.tokenizer.encode([text], max_length=32) for text in texts]


@torch.no_grad()
def test_a_choice_is_a_softmax_of_scaled_cosines(predictor: GeneralistPredictor) -> None:
    model, picture = predictor.model, pictures()[1]
    prompt = predictor.tokenizer.encode([QUESTION], max_length=64)
    features = model.encode_image(seen(picture, SETTINGS.ask_sizes[0]), regions=SETTINGS.regions)
    x = model.readout.embed(model.decoder(model.prefix(features, prompt, ANSWERING))[0][0, 0])
    scale = float(model.readout.scale("answer"))
    names = [model.embed_texts(tokens, MATCHING)[0] for tokens in token_rows(predictor, ANSWERS)]
    expected = softmax([scale * cosine(x, name) for name in names])
    found = predictor.ask(picture, QUESTION, ANSWERS)
    chances = {found.text: found.score} | {other.text: other.score for other in found.alternatives}
    assert [chances[answer] for answer in ANSWERS] == pytest.approx(expected, abs=1e-5)
    assert found.text == ANSWERS[int(np.argmax(expected))]
    assert [other.score for other in found.alternatives] == sorted(
        (other.score for other in found.alternatives), reverse=True
    )


@torch.no_grad()
@pytest.mark.parametrize("task", ["caption", "ask", "read"])
def test_writing_takes_the_likeliest_token_each_time(predictor: GeneralistPredictor, task: str) -> None:
    """Without caches: everything is read again for every token."""
    model, picture = predictor.model, pictures()[2]
    size, prompt, longest, found = {
        "caption": (SETTINGS.caption_size, CAPTION["zh"], 6, lambda: predictor.caption(picture, "zh")),
        "ask": (SETTINGS.ask_sizes[0], QUESTION, 5, lambda: predictor.ask(picture, QUESTION)),
        "read": (SETTINGS.read_size, READ["en"], 4, lambda: predictor.read(picture)),
    }[task]
    features = model.encode_image(seen(picture, size), regions=SETTINGS.regions)
    prefix = model.prefix(features, predictor.tokenizer.encode([prompt], max_length=64), ANSWERING)
    ids, total = [predictor.tokenizer.spe_id], 0.0
    while len(ids) <= longest and ids[-1] != predictor.tokenizer.end_id:
        written = TokenBatch(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))
        outputs = model.decoder([*prefix, model.written(written, ANSWERING)])
        chances = softmax(model.vocabulary_logits(outputs[-1][0, -1]).tolist())
        ids.append(int(np.argmax(chances)))
        total += math.log(max(chances))
    result = found()
    assert result.text == predictor.tokenizer.decode(ids).rstrip("\ufffd").strip()
    assert result.score == pytest.approx(math.exp(total / (len(ids) - 1)), rel=1e-4)


@torch.no_grad()
def test_a_phrase_is_a_softmax_over_regions(predictor: GeneralistPredictor) -> None:
    picture = pictures()[1]
    found = predictor.refer(picture, "左边的车", threshold=0.0)
    inputs = SETTINGS.detection([picture])
    model = predictor.model
    features = model.encode_image(inputs.images, regions=None)
    regions = model.embed_regions(features, DETECTION)[0]
    (tokens,) = token_rows(predictor, ("左边的车",))
    phrase, scale = model.embed_texts(tokens, DETECTION)[0], float(model.readout.scale("region"))
    expected = softmax([scale * cosine(region, phrase) for region in regions])
    assert found.scores.tolist() == pytest.approx(sorted(expected, reverse=True), abs=1e-5)
    assert sum(expected) == pytest.approx(1)
    best = predictor.refer(picture, "左边的车")
    assert len(best) == 1
    assert best.names("zh") == ("左边的车",)
    assert features.proposals is not None
    x, y, w, h = (features.proposals.boxes[0, int(np.argmax(expected))] * 64).tolist()
    corners = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 64)
    assert best.boxes[0] == pytest.approx(corners, abs=1e-3)
    assert len(predictor.refer(picture, "左边的车", threshold=0.999)) == 0


def test_embeddings_are_compared_by_cosine(predictor: GeneralistPredictor) -> None:
    images, texts = predictor.embed_image(pictures()), predictor.embed_text(["a dog", "两辆红色的车", "x"])
    assert images.shape == (5, 32)
    assert images.dtype == texts.dtype == np.float32
    for rows in (images, texts):
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    similarity = predictor.compare(pictures(), ["a dog", "两辆红色的车", "x"])
    for row, image in enumerate(images):
        for column, text in enumerate(texts):
            expected = sum(float(a) * float(b) for a, b in zip(image, text, strict=True))
            assert similarity[row, column] == pytest.approx(expected, abs=1e-5)
    assert similarity.std() > 0.02  # the pictures and the texts differ
    assert predictor.compare(pictures()[0], "a dog").shape == (1, 1)
    assert predictor.embed_image([]).shape == (0, 32)


@pytest.mark.parametrize("model", ["as it is", "optimised"])
def test_a_batch_gives_what_single_calls_give(model: str, file: Path, predictor: GeneralistPredictor) -> None:
    p = predictor if model == "as it is" else load(file, device="cpu", batch_size=4)
    assert isinstance(p, GeneralistPredictor)
    many = pictures()
    for batched, single in zip(p.classify(many), map(p.classify, many), strict=True):
        assert np.allclose(batched.scores, single.scores, atol=1e-5)
    for found, alone in zip(p.detect(many, threshold=0.0), many, strict=True):
        single_found = p.detect(alone, threshold=0.0)
        assert np.allclose(found.scores, single_found.scores, atol=1e-5)
        assert np.allclose(found.boxes, single_found.boxes, atol=1e-2)
    assert np.allclose(p.embed_image(many), [p.embed_image(one)[0] for one in many], atol=1e-5)
    texts = ["a", "a much longer text than the first", "中文"]
    assert np.allclose(p.embed_text(texts), [p.embed_text(one)[0] for one in texts], atol=1e-5)
    tasks: list[Callable[[Any], Any]] = [
        p.caption,
        lambda images: p.caption(images, "zh", beams=2),
        lambda images: p.ask(images, "what?"),
        lambda images: p.ask(images, QUESTION, ANSWERS),
        p.read,
    ]
    for task in tasks:
        for together, one in zip(task(many), map(task, many), strict=True):
            assert (together.text, together.question) == (one.text, one.question)
            assert together.score == pytest.approx(one.score, abs=1e-5)


def test_optimising_changes_nothing_but_the_rounding(file: Path) -> None:
    plain, fast = (load_as(GeneralistPredictor, file, device="cpu", optimize=how) for how in (False, True))
    assert any(True for _ in plain.model.backbone.parameters())
    assert not any(True for _ in fast.model.backbone.parameters())
    many = pictures()
    assert np.allclose(plain.embed_image(many), fast.embed_image(many), atol=1e-5)
    assert np.allclose(
        [one.scores for one in plain.classify(many)], [one.scores for one in fast.classify(many)], atol=1e-4
    )
    for a, b in zip(plain.detect(many, threshold=0.0), fast.detect(many, threshold=0.0), strict=True):
        assert np.allclose(a.scores, b.scores, atol=1e-5)
    assert [str(text) for text in plain.caption(many)] == [str(text) for text in fast.caption(many)]


def test_whatever_a_picture_comes_as(predictor: GeneralistPredictor, tmp_path: Path) -> None:
    image = pictures()[1]
    image.save(tmp_path / "a.png")
    pixels = np.asarray(image)
    sources = [tmp_path / "a.png", image, pixels, torch.from_numpy(pixels.transpose(2, 0, 1).copy())]
    results = predictor.ask(sources, "what?", ANSWERS)
    assert [result.source for result in results] == [str(tmp_path / "a.png"), None, None, None]
    assert len({(result.text, round(result.score, 5)) for result in results}) == 1
    assert results[0].image is not None
    (tmp_path / "bad.png").write_bytes(b"bad")
    with pytest.raises(ImageReadError, match=r"bad\.png"):
        predictor.caption(tmp_path / "bad.png")


def test_any_names_in_both_languages(predictor: GeneralistPredictor) -> None:
    found = predictor.classify(pictures()[0], ["自行车", "Dog", "a red van"])
    by_name = dict(zip(found.names_en, found.names_zh, strict=True))
    assert by_name == {"bicycle": "自行车", "Dog": "狗", "a red van": "a red van"}
    assert found.scores.sum() == pytest.approx(1)
    # The typed word is what the model compares: its translation is another.
    english = predictor.classify(pictures()[0], ["bicycle", "Dog", "a red van"])
    assert not np.allclose(sorted(found.scores), sorted(english.scores), atol=1e-4)
    usual = predictor.predict(pictures()[0])
    assert set(usual.names_zh) == set(SETTINGS.classify_names.zh)
    assert predictor.detector().classes == SETTINGS.detect_names


def test_names_are_embedded_once(predictor: GeneralistPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    embed = predictor.model.embed_texts

    def counted(texts: TokenBatch, routing: Any) -> Tensor:
        calls.append(len(texts.ids))
        return embed(texts, routing)

    monkeypatch.setattr(predictor.model, "embed_texts", counted)
    for _ in range(2):
        for classes in (["one", "two"], ["one", "two", "three"]):
            predictor.detect(pictures()[0], classes)
    assert calls == [2, 3]
    assert predictor.detector(["one", "two"]) is predictor.detector([" one", "two "])


def test_queries_say_what_the_parts_say() -> None:
    """Things are scored as detections are, stuff is the softmax over all names at each pixel."""
    predictor = used_generalist()
    segmenter = predictor.segmenter(["sky", "cat", "road", "a van"])
    model = segmenter.model
    assert isinstance(model, ListQuerySegmenter)
    assert (model.stuff, model.things) == ((0, 2), (1, 3))
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        classes, masks = model.predict_queries(images)
        pixels = model.scores(images).softmax(dim=1)
        detector = predictor.detector(["cat", "a van"]).model
        found = detector(images)
    chances = classes.softmax(dim=-1)
    assert torch.isfinite(classes).all()
    assert torch.allclose(masks[:, :2].sigmoid(), pixels[:, [0, 2]], atol=1e-4)
    for picture in range(2):
        for row, name in enumerate((0, 2)):
            inside = [value for value in pixels[picture, name].flatten().tolist() if value >= 0.5]
            expected = sum(inside) / len(inside) if inside else 1e-6
            assert float(chances[picture, row, name]) == pytest.approx(expected, abs=1e-4)
        best = chances[picture, 2:, [1, 3]].amax(dim=1)
        every = {round(float(score), 6) for score in found[picture].scores}
        assert {round(float(score), 6) for score in best} <= every
        # Every query has one name; the rest of its probability is that of none.
        assert (chances[picture][:, :-1] > 1e-9).sum(dim=1).tolist() == [1] * len(chances[picture])


def with_shapes(*sizes: tuple[int, int]) -> GeneralistPredictor:
    """A predictor that asks about pictures at one of several sizes."""
    settings = replace(SETTINGS, ask_sizes=sizes)
    return GeneralistPredictor(small_generalist(), Tokenizer.packaged(), settings, batch_size=3)


def test_each_picture_is_asked_about_in_its_own_shape() -> None:
    wide, square, tall = (32, 64), (64, 64), (64, 32)
    every, many = with_shapes(wide, square, tall), pictures()[:4]
    found = every.ask(many, QUESTION, ANSWERS)
    for size, rows in ((wide, (0, 3)), (square, (1,)), (tall, (2,))):
        alone = with_shapes(size).ask([many[row] for row in rows], QUESTION, ANSWERS)
        for row, other in zip(rows, alone, strict=True):
            assert found[row].text == other.text
            assert found[row].score == pytest.approx(other.score, abs=1e-5)
    # Another size would have given another answer.
    assert with_shapes(tall).ask(many[0], QUESTION, ANSWERS).score != pytest.approx(found[0].score, abs=1e-4)
    written = every.ask(many[:2], "what?")
    assert written[0].score == pytest.approx(with_shapes(wide).ask(many[0], "what?").score, abs=1e-5)


def test_the_threshold_of_the_settings_is_that_of_every_way_to_objects() -> None:
    image = pictures()[0]
    scores = used_generalist().detect(image, threshold=0.0).scores
    least = float(scores[len(scores) // 2 - 1 : len(scores) // 2 + 1].mean())
    settings = replace(SETTINGS, detect_threshold=least)
    p = GeneralistPredictor(small_generalist(), Tokenizer.packaged(), settings)
    for found in (p.detect(image), p.detector().predict(image)):
        wanted = [score for score in scores.tolist() if score >= least]
        assert found.scores.tolist() == pytest.approx(wanted, rel=1e-4)
    assert len(p.detector().predict(image, threshold=0.0)) == len(scores)
    every = p.segment(image, task="instance", threshold=0.0)
    assert isinstance(every, Detections)
    least = float(every.scores[len(every) // 2 - 1 : len(every) // 2 + 1].mean())
    settings = replace(SETTINGS, detect_threshold=least)
    p = GeneralistPredictor(small_generalist(), Tokenizer.packaged(), settings)
    for instances in (p.segment(image, task="instance"), p.segmenter().predict_instances(image)):
        assert isinstance(instances, Detections)
        wanted = [score for score in every.scores.tolist() if score >= least]
        assert instances.scores.tolist() == pytest.approx(wanted, rel=1e-4)


def test_objects_of_score_zero_are_none(predictor: GeneralistPredictor) -> None:
    """Queries say one name each; pairs with the other names have the probability 0."""
    names = ["a cat", "dog", "bus", "car"]
    found = predictor.segment(pictures()[0], names, task="instance", things=names, threshold=0.0)
    assert isinstance(found, Detections)
    assert 0 < len(found) <= small_generalist().config.proposals.num_queries
    assert float(found.scores.min()) > 0


def tuned(*heads: str, named: bool = True) -> GeneralistPredictor:
    """After prompt tuning for two classes, with heads that matter."""
    model = small_generalist()
    add_prompts(model, 2, dict.fromkeys(heads, 2))
    for name, parameter in model.named_parameters():
        if "class_heads" in name:
            parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5))
    if named:
        name_classes(model, dict.fromkeys(heads, TUNED))
    return GeneralistPredictor(model, Tokenizer.packaged(), SETTINGS)


TUNED = ClassNames(en=("oak", "fir tree"), zh=("橡树", "杉树"))


@torch.no_grad()
@pytest.mark.parametrize("place", ["memory", "file"])
def test_the_head_of_prompt_tuning_classifies(place: str, tmp_path: Path) -> None:
    p = tuned("trees")
    model, picture = p.model, pictures()[0]
    x = model.embed_images(model.encode_image(seen(picture, (48, 48))), MATCHING)[0]
    head = dict(model.get_submodule("class_heads.trees").named_parameters())
    expected = []
    for row, tokens in enumerate(token_rows(p, TUNED.en)):
        near = cosine(x, model.embed_texts(tokens, MATCHING)[0]) * float(
            model.readout.scale("classification")
        )
        weight, bias = head["linear.weight"][row].tolist(), float(head["linear.bias"][row])
        linear = sum(w * v for w, v in zip(weight, x.tolist(), strict=True)) * math.sqrt(len(x))
        expected.append(float(head["alpha"]) * near + linear + bias)
    if place == "file":
        save_generalist(tmp_path / "a.safetensors", model, extra={"settings": SETTINGS.to_json()})
        p = load_as(GeneralistPredictor, tmp_path / "a.safetensors", device="cpu")
        alone = load_as(ClassificationPredictor, tmp_path / "a.safetensors", device="cpu")
        assert alone.classes == TUNED
    found = p.classify(picture)
    by_name = dict(zip(found.names_en, found.scores.tolist(), strict=True))
    assert [by_name[name] for name in TUNED.en] == pytest.approx(softmax(expected), abs=1e-4)
    assert set(found.names_zh) == set(TUNED.zh)
    # Names that are asked for are compared by the cosine alone.
    plain = p.classify(picture, list(TUNED.en))
    assert not np.allclose(sorted(plain.scores), sorted(found.scores), atol=1e-3)


@pytest.mark.parametrize("p", [tuned("a", "b"), tuned("a", named=False)], ids=["two heads", "no names"])
def test_other_heads_leave_the_names_of_the_settings(p: GeneralistPredictor) -> None:
    assert set(p.classify(pictures()[0]).names_en) == set(SETTINGS.classify_names.en)


def test_segments_of_each_kind(predictor: GeneralistPredictor) -> None:
    many = pictures()
    semantic = predictor.segment(many)
    assert isinstance(semantic, list)
    assert all(isinstance(one, SemanticMap) for one in semantic)
    assert [one.size for one in semantic] == [(image.height, image.width) for image in many]
    instances = predictor.segment(many[0], task="instance", threshold=1e-6)
    assert isinstance(instances, Detections)
    assert len(instances) > 0
    assert set(instances.names()) == {"car"}
    assert instances.masks is not None
    panoptic = predictor.segment(many[0], ["天空", "a cat", "dog"], task="panoptic", things=["a cat"])
    assert isinstance(panoptic, PanopticMap)
    assert panoptic.size == (40, 60)
    assert all(
        thing == (name == "a cat") for thing, name in zip(panoptic.is_thing, panoptic.names(), strict=True)
    )
    with pytest.raises(ValueError, match="'all' must be 'semantic', 'instance' or 'panoptic'"):
        predictor.segment(many[0], task="all")  # type: ignore[arg-type]


def test_parts_are_read_as_pictures_of_their_own(predictor: GeneralistPredictor) -> None:
    image = pictures()[3]
    boxes = [[0, 0, 40, 33], [70.2, 4.9, 200, 20], [5, 5, 9, 9], [0, 0, 120, 33]]
    parts = predictor.read(image, boxes)
    crops = [image.crop(box) for box in ((0, 0, 40, 33), (70, 4, 120, 20), (5, 5, 9, 9), (0, 0, 120, 33))]
    for part, whole in zip(parts, predictor.read(crops), strict=True):
        assert part.text == whole.text
        assert part.score == pytest.approx(whole.score, abs=1e-5)
    assert [part.box for part in parts] == [tuple(box) for box in boxes]
    assert all(part.image is not None and part.image.size == image.size for part in parts)
    objects = Detections(
        boxes=np.array(boxes[:2], dtype=np.float32), scores=np.ones(2, dtype=np.float32),
        labels=np.zeros(2, dtype=np.int64), size=(33, 120),
    )  # fmt: skip
    both = predictor.read([image, image], [objects, []])
    assert [part.text for part in both[0]] == [part.text for part in parts[:2]]
    assert both[1] == []


def test_languages_of_results(predictor: GeneralistPredictor) -> None:
    image = pictures()[0]
    assert predictor.ask(image, "what?", ANSWERS).language == "en"
    assert predictor.ask(image, "颜色 color?", ANSWERS).language == "zh"
    assert predictor.ask(image, " what? ", ANSWERS, language="zh").language == "zh"
    assert predictor.ask(image, " what? ").question == "what?"
    assert predictor.caption(image, "zh").language == "zh"
    assert predictor.caption(image).question is None


def test_the_file_brings_its_settings(file: Path, tmp_path: Path) -> None:
    loaded = load(file, batch_size=2)
    assert isinstance(loaded, GeneralistPredictor)
    assert loaded.settings == SETTINGS
    assert loaded.batch_size == 2
    assert not loaded.model.training
    one, other = loaded.predict(pictures()[0]), used_generalist().classify(pictures()[0])
    assert np.allclose(one.scores, other.scores, atol=1e-4)
    assert one.names_en == other.names_en
    save_generalist(tmp_path / "plain.safetensors", small_generalist())
    plain = load_as(GeneralistPredictor, tmp_path / "plain.safetensors")
    assert plain.settings.read_size == (48, 256)
    save_generalist(tmp_path / "odd.safetensors", small_generalist(), extra={"settings": '{"ask": 3}'})
    with pytest.raises(ValueError, match=r"odd\.safetensors: not the settings of a generalist"):
        load(tmp_path / "odd.safetensors")


def test_it_serves_as_a_predictor_of_one_task(file: Path) -> None:
    names = ["a cat", "自行车"]
    for kind in (ClassificationPredictor, DetectionPredictor, SegmentationPredictor):
        predictor = load_as(kind, file, classes=names)
        assert isinstance(predictor, kind)
        assert predictor.classes == ClassNames(en=("a cat", "bicycle"), zh=("a cat", "自行车"))
    assert len(load_as(DetectionPredictor, file).classes) == 2


def test_other_models_are_no_generalists(tmp_path: Path) -> None:
    path = save_small_model(tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="is a classifier, not a generalist; use intern25 classify"):
        load_as(GeneralistPredictor, path)
    with pytest.raises(ValueError, match="has 6 classes of its own"):
        load_as(ClassificationPredictor, path, classes=["a", "b"])


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda p, i: p.ask(i, "  "), "the question is empty"),
        (lambda p, i: p.ask(i, "车" * 300), "the model reads 64; shorten it"),
        (lambda p, i: p.ask(i, "what?", []), "answers=[] names no class"),
        (lambda p, i: p.ask(i, "what?", ["yes"]), "answers=['yes'] leaves nothing to choose between"),
        (lambda p, i: p.ask(i, "what?", ["yes", "Yes "]), "answers names 'Yes' twice"),
        (lambda p, i: p.ask(i, "what?", language="fr"), "language='fr'"),
        (lambda p, i: p.caption(i, "fr"), "language='fr' must be 'en' or 'zh'"),
        (lambda p, i: p.caption(i, beams=0), "beams must be 1 or more"),
        (lambda p, i: p.classify(i, []), "classes=[] names no class"),
        (lambda p, i: p.classify(i, ["cat"]), "leaves nothing to choose between"),
        (lambda p, i: p.classify(i, ["cat", " "]), "classes has an empty name at place 2"),
        (lambda p, i: p.classify(i, ["cat", "cat"]), "classes names 'cat' twice"),
        (lambda p, i: p.classify(i, top_k=0), "top_k=0"),
        (lambda p, i: p.detect(i, ["猫" * 200]), "the model reads 32; shorten it"),
        (lambda p, i: p.detect(i, threshold=2.0), "threshold=2.0"),
        (lambda p, i: p.segment(i, ["cat"]), "one class leaves nothing to choose between"),
        (lambda p, i: p.segment(i, ["cat", "sky"], things=["dog"]), "the model has no class 'dog'"),
        (lambda p, i: p.refer(i, ""), "the phrase is empty"),
        (lambda p, i: p.refer(i, "car", threshold=-1.0), "threshold=-1.0"),
        (lambda p, i: p.read(i, [1, 2, 3, 4]), "boxes of shape (4,) must be (K, 4)"),
        (lambda p, i: p.read(i, [[90, 0, 95, 9]]), "holds no pixel of a picture of 60 x 40"),
        (lambda p, i: p.read(i, [[0, 0, float("nan"), 9]]), "finite"),
        (lambda p, i: p.read([i, i], [[]]), "1 lists of boxes for 2 pictures"),
        (lambda p, i: p.embed_text(["a", ""]), "the text is empty"),
        (lambda p, i: p.embed_text("long " * 100), "the model reads 40; shorten it"),
        (lambda _, __: used_generalist(batch_size=0), "batch_size=0"),
    ],
)
def test_bad_values_are_refused(
    predictor: GeneralistPredictor, call: Callable[[GeneralistPredictor, Image.Image], object], shown: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        call(predictor, pictures()[0])
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda p, i: p.classify(i, "cat"),
        lambda p, i: p.ask(i, 3),
        lambda p, i: p.detect(i, [3]),
        lambda p, i: p.embed_text([None]),
    ],
)
def test_bad_types_are_refused(
    predictor: GeneralistPredictor, call: Callable[[GeneralistPredictor, Image.Image], object]
) -> None:
    with pytest.raises(TypeError, match="must be"):
        call(predictor, pictures()[0])


@pytest.mark.parametrize("optimize", [False, True])
def test_damaged_weights_are_told(optimize: bool, tmp_path: Path) -> None:
    path = save_used_generalist(tmp_path / "nan.safetensors", damaged=True)
    p = load_as(GeneralistPredictor, path, device="cpu", optimize=optimize)
    image = pictures()[0]
    calls: list[Callable[[], object]] = [
        lambda: p.classify(image),
        lambda: p.detect(image),
        lambda: p.segment(image),
        lambda: p.segment(image, task="panoptic"),
        lambda: p.caption(image),
        lambda: p.ask(image, "what?"),
        lambda: p.ask(image, "what?", ANSWERS),
        lambda: p.read(image),
        lambda: p.refer(image, "car"),
        lambda: p.embed_image(image),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=DAMAGED):
            call()


def test_results_are_texts(predictor: GeneralistPredictor) -> None:
    assert predictor.caption([]) == []
    result = predictor.ask(pictures()[0], "what?", ANSWERS)
    assert isinstance(result, Text)
    drawn = result.draw()
    assert drawn.height > drawn.width * 40 / 60  # the text stands below the picture
