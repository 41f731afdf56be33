# SPDX-License-Identifier: MIT
"""From what a browser sends to what it shows, against the predictor itself; no web page is needed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.demo.asking import ask, describe
from intern25.demo.finding import MODES, Found, Mode, find, usual_threshold
from intern25.demo.inputs import LONGEST_SIDE, MOST_NAMES, opened, sample_street, split_names
from intern25.demo.naming import name_it
from intern25.demo.reading import clicked, marked, part_of, read
from intern25.demo.texts import EN, TEXTS, ZH, Language, Texts
from intern25.predictors import GeneralistPredictor
from intern25.results import Detections, PanopticMap, SemanticMap
from tests.used_generalist import pictures, used_generalist


@pytest.fixture(scope="module")
def predictor() -> GeneralistPredictor:
    return used_generalist()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    saved = tmp_path_factory.mktemp("uploads") / "street.png"
    pictures()[2].save(saved)
    return str(saved)


@pytest.mark.parametrize("texts", [EN, ZH], ids=lambda texts: texts.language)
def test_answers_and_descriptions_are_the_predictors(
    predictor: GeneralistPredictor, path: str, texts: Texts
) -> None:
    said, expected = ask(predictor, path, " 此刻可以直行吗？", texts), predictor.ask(path, "此刻可以直行吗？")
    assert said.text == expected.text
    assert f"{expected.score:.0%}" in said.certainty
    for spoken in ("zh", "en"):
        assert describe(predictor, path, spoken, texts).text == predictor.caption(path, spoken).text


def test_detected_objects_are_drawn_and_listed(predictor: GeneralistPredictor, path: str) -> None:
    found = find(predictor, path, "人，自行车", "detect", 0.0, ZH)
    expected = predictor.detect(path, ["人", "自行车"], threshold=0.0)
    assert len(expected) > 3
    assert np.array_equal(found.drawing, expected.draw(language="zh"))
    assert found.headers == [ZH.name, ZH.score, ZH.box]
    assert [row[0] for row in found.rows] == list(expected.names("zh"))
    assert [float(row[1]) for row in found.rows] == pytest.approx(expected.scores, abs=0.005)
    boxes = [[float(side) for side in row[2].split(", ")] for row in found.rows]
    assert np.allclose(boxes, expected.boxes, atol=0.5)
    assert found.summary == ZH.found.format(count=len(expected))


@pytest.mark.parametrize("mode", MODES[1:])
def test_segments_are_drawn_and_listed(predictor: GeneralistPredictor, path: str, mode: Mode) -> None:
    found = find(predictor, path, "sky, road, car", mode, 0.0, EN)
    expected = predictor.segment(path, ["sky", "road", "car"], task=mode, threshold=0.0)
    assert isinstance(expected, Detections | SemanticMap | PanopticMap)
    assert np.array_equal(found.drawing, expected.draw())
    assert found.rows
    assert {len(row) for row in found.rows} == {len(found.headers)}
    shares = [float(row[found.headers.index(EN.share)][:-1]) for row in found.rows if mode != "instance"]
    if isinstance(expected, SemanticMap):
        assert sum(shares) == pytest.approx(100, abs=0.2)
        assert [row[0] for row in found.rows] == [expected.names_en[label] for label in expected.present]
    elif isinstance(expected, PanopticMap):
        assert shares == pytest.approx(100 * expected.areas / expected.ids.size, abs=0.06)


def test_without_names_the_models_own_are_looked_for(predictor: GeneralistPredictor, path: str) -> None:
    found = find(predictor, path, " , ，", "detect", 0.0, EN)
    assert {row[0] for row in found.rows} == {"person", "bicycle"}


@pytest.mark.parametrize("mode", MODES)
def test_nothing_found_says_what_to_do(predictor: GeneralistPredictor, path: str, mode: Mode) -> None:
    found: Found = find(predictor, path, "sky, road", mode, 1.0, EN)
    assert found.rows == []
    assert found.summary == EN.nothing_found.format(least="1.00")


def test_usual_thresholds_are_those_of_the_settings(predictor: GeneralistPredictor, path: str) -> None:
    for mode in MODES:
        usual = find(predictor, path, None, mode, usual_threshold(predictor, mode), EN)
        result = predictor.detect(path) if mode == "detect" else predictor.segment(path, task=mode)
        assert np.array_equal(usual.drawing, result.draw())  # type: ignore[union-attr]


def test_a_part_is_read_alone(predictor: GeneralistPredictor, path: str) -> None:
    corners = clicked(clicked((), (40, 60)), (10, 20))
    assert part_of(corners) == (10, 20, 41, 61)
    cut = pictures()[2].crop((10, 20, 41, 61))
    assert read(predictor, path, corners, EN).text == (predictor.read(cut).text or EN.nothing_read)
    whole = predictor.read(path).text or EN.nothing_read
    assert read(predictor, path, (), EN).text == read(predictor, path, ((3, 3),), EN).text == whole


def test_nothing_read_is_said(
    predictor: GeneralistPredictor, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = predictor.read(path)
    object.__setattr__(blank, "text", "")
    monkeypatch.setattr(predictor, "read", lambda picture: blank)
    assert read(predictor, path, (), ZH).text == "（没有读到文字）"


def test_marks_show_where_the_clicks_were() -> None:
    picture = Image.new("RGB", (200, 100))
    before = np.asarray(picture).copy()
    changed = np.argwhere((np.asarray(marked(picture, ((50, 30),))) != before).any(-1))
    assert changed.mean(axis=0) == pytest.approx([30, 50], abs=0.6)
    frame = np.asarray(marked(picture, ((50, 30), (149, 69)))).astype(int)
    bright = np.argwhere(frame[..., 0] > 200)
    assert bright.min(axis=0).tolist() == [30, 50]
    assert bright.max(axis=0).tolist() == [69, 149]
    assert frame[50, 100].sum() == 0, "the part itself stays as it is"
    assert np.array_equal(picture, before), "the picture is left alone"
    assert np.array_equal(marked(picture, ()), before)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_keep_the_words_that_were_typed(
    predictor: GeneralistPredictor, path: str, language: Language
) -> None:
    # cat and 猫 are translations of one another.
    bars = name_it(predictor, path, "猫, cat、a red van", TEXTS[language])
    expected = predictor.classify(path, ["猫", "cat", "a red van"])
    by_place = dict(zip(expected.indices.tolist(), expected.scores.tolist(), strict=True))
    assert [bars[name] for name in ("猫", "cat", "a red van")] == pytest.approx(
        [by_place[k] for k in range(3)]
    )
    usual = name_it(predictor, path, None, TEXTS[language])
    assert set(usual) == set(
        predictor.settings.classify_names.en if language == "en" else ["猫", "狗", "公交车"]
    )
    assert sum(usual.values()) == pytest.approx(1, abs=1e-5)


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 1000), "red").save(tmp_path / "wide.png")
    assert opened(str(tmp_path / "wide.png"), EN).size == (LONGEST_SIDE, LONGEST_SIDE // 4)


def test_samples_differ_and_repeat() -> None:
    first, second = sample_street(1), sample_street(2)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, sample_street(1))


@pytest.mark.parametrize("texts", [EN, ZH], ids=lambda texts: texts.language)
def test_what_is_missing_is_said_in_the_language_of_the_page(
    predictor: GeneralistPredictor, path: str, texts: Texts
) -> None:
    calls = {
        texts.no_picture: [
            lambda: ask(predictor, None, "what?", texts),
            lambda: describe(predictor, None, "en", texts),
            lambda: find(predictor, None, "", "detect", 0.3, texts),
            lambda: read(predictor, None, (), texts),
            lambda: name_it(predictor, None, "", texts),
        ],
        texts.no_question: [lambda: ask(predictor, path, "  ", texts)],
        texts.two_names: [
            lambda: find(predictor, path, "road", "semantic", 0.0, texts),
            lambda: name_it(predictor, path, "road, Road", texts),
        ],
        texts.many_names.format(most=MOST_NAMES, count=101): [
            lambda: find(predictor, path, ",".join(map(str, range(101))), "detect", 0.3, texts)
        ],
    }
    for message, attempts in calls.items():
        for attempt in attempts:
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                attempt()


def test_bad_files_are_named_without_their_folder(predictor: GeneralistPredictor, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"^bad\.jpg is not a picture") as caught:
        describe(predictor, str(tmp_path / "bad.jpg"), "en", EN)
    assert str(tmp_path) not in str(caught.value)


def test_questions_that_are_too_long_are_refused(predictor: GeneralistPredictor, path: str) -> None:
    with pytest.raises(ValueError, match="the model reads"):
        ask(predictor, path, "what " * 200, EN)


def test_names_between_any_commas() -> None:
    assert split_names("a red  car；狗，\n b,A RED CAR、", EN) == ("a red car", "狗", "b")
    assert split_names(None, EN) is None
    assert split_names("、, ", EN) is None
