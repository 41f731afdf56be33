"""Rendered text: the same for the same seed, inside the picture, legible, of the asked size."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from intern25.data.multimodal.fonts import FontShelf, family_of, system_fonts
from intern25.data.multimodal.rendered_text import RenderedText, draw_shape
from intern25.data.multimodal.sign_text import SignText
from intern25.data.multimodal.sign_words import FREQUENT_ZH, english_words, level_one_characters
from intern25.data.multimodal.text_backgrounds import draw_ground, draw_inks
from intern25.data.multimodal.text_shapes import bent, seen_from_aside, set_text

BUILT_IN = FontShelf([])
CHINESE_FONT = next((path for path in system_fonts() if FontShelf([path]).supports("的")), None)
needs_chinese = pytest.mark.skipif(
    CHINESE_FONT is None, reason="no font with Chinese characters is installed"
)


def test_pictures_follow_from_seed_epoch_and_index() -> None:
    first = RenderedText(50, seed=3, languages=("en",), fonts=[])
    again = pickle.loads(pickle.dumps(RenderedText(80, seed=3, languages=("en",), fonts=[])))
    for index in (49, 0, 7):
        assert first.items(index) == again.items(index)
        np.testing.assert_array_equal(first.image(index), again.image(index))
    others = (RenderedText(50, seed=4, languages=("en",), fonts=[]), first.at_epoch(1))
    for other in others:
        assert [other.items(i) for i in range(50)] != [first.items(i) for i in range(50)]
    assert len({first.name(0), *(other.name(0) for other in others)}) == 3
    assert first.epoch == 0


@pytest.mark.parametrize(("height", "max_width"), [(32, 256), (48, 100), (16, 16)])
def test_size_of_the_pictures(height: int, max_width: int) -> None:
    pictures = RenderedText(30, seed=0, height=height, max_width=max_width, languages=("en",), fonts=[])
    for index in range(30):
        image = pictures.image(index)
        assert image.dtype == np.uint8
        assert (image.shape[0], image.shape[2]) == (height, 3)
        assert height // 2 <= image.shape[1] <= max_width


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**40), st.sampled_from(["I", "gypsum", "Wide Mall", "WWWWWWWWWWWWWWW", "'s", ".", "j|"])
)
def test_all_of_the_text_is_inside(seed: int, text: str) -> None:
    ink = draw_shape(text, BUILT_IN, "Pillow", np.random.default_rng(seed))
    assert ink.max() > 100
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert edge.max() == 0


def test_letters_are_set_as_pillow_sets_them() -> None:
    font = BUILT_IN.font("Pillow", 40)
    for text in ("Hotel", "gy", "A b"):
        canvas = Image.new("L", (400, 120))
        ImageDraw.Draw(canvas).text((100, 80), text, fill=255, font=font, anchor="ls")
        expected = np.asarray(canvas)
        rows, columns = np.nonzero(expected)
        cut = expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        np.testing.assert_array_equal(set_text(font, text, 0), cut)


def test_spacing_moves_letters_apart_and_nothing_else() -> None:
    font = BUILT_IN.font("Pillow", 40)
    close, wide = set_text(font, "III", 1), set_text(font, "III", 11)
    assert wide.shape == (close.shape[0], close.shape[1] + 20)
    assert wide.sum() == close.sum() == 3 * int(set_text(font, "I", 0).sum())


def test_bending_moves_columns_as_the_formula_says() -> None:
    ink = np.random.default_rng(0).integers(1, 255, (9, 20), dtype=np.uint8)
    result = bent(ink, 4.0, 0.5, 1.5)
    wave = [4.0 * np.sin(0.5 + 1.5 * np.pi * x / 20) for x in range(20)]
    for x in range(20):
        shift = round(float(wave[x] - min(wave)))
        column = [*([0] * shift), *ink[:, x], *([0] * (len(result) - 9 - shift))]
        assert result[:, x].tolist() == column


def test_a_view_from_aside_without_turn_keeps_the_text() -> None:
    ink = np.random.default_rng(0).integers(0, 255, (9, 20), dtype=np.uint8)
    result = seen_from_aside(ink, 0.0, 0.0, np.zeros((4, 2)), (3, 2, 4, 5))
    assert result.shape == (9 + 2 + 5, 20 + 3 + 4)
    np.testing.assert_allclose(result[2:11, 3:23].astype(int), ink.astype(int), atol=1)
    assert result.astype(int).sum() == result[2:11, 3:23].astype(int).sum()


def test_a_quarter_turn_turns_counter_clockwise() -> None:
    ink = np.zeros((8, 30), dtype=np.uint8)
    ink[:, 25:] = 255  # the end of the line goes up
    result = seen_from_aside(ink, np.pi / 2, 0.0, np.zeros((4, 2)), (0, 0, 0, 0))
    assert result.shape[0] > result.shape[1]
    assert result[:5].mean() > 200 > result[8:].mean()


def test_text_can_be_told_from_its_ground() -> None:
    weights = np.array([0.299, 0.587, 0.114])
    for seed in range(300):
        generator = np.random.default_rng(seed)
        inks = draw_inks(generator)
        both = np.stack([inks.ground, inks.text])
        assert both.min() >= -1e-3
        assert both.max() <= 255.001
        dark, light = sorted((both @ weights).tolist())
        assert light - dark == pytest.approx(inks.contrast, abs=0.01)
        assert inks.contrast >= 50.0
        ground = draw_ground(generator, inks.ground, inks.contrast, (40, 90))
        assert ground.shape == (40, 90, 3)
        # Whatever is on the ground, its mean stays on its side of the text.
        assert abs(float((ground @ weights).mean()) - float(inks.ground @ weights)) < 0.7 * inks.contrast


def test_a_trivial_reader_tells_rendered_letters_apart() -> None:
    """Centroids of pixels read far more than chance: the text is in the pictures, not only in the labels."""
    letters = "AOMT"

    def features(seed: int) -> tuple[np.ndarray, np.ndarray]:
        pictures = RenderedText(240, seed=seed, languages=("en",), words=list(letters), fonts=[])
        rows, labels = [], []
        for index in range(len(pictures)):
            text = pictures.items(index)[0].text
            if text in letters:
                grey = Image.fromarray(pictures.image(index)).convert("L").resize((16, 16))
                values = np.asarray(grey, dtype=np.float64).ravel()
                values = (values - values.mean()) / (values.std() + 1e-6)
                rows.append(np.abs(np.fft.rfft2(values.reshape(16, 16))).ravel())
                labels.append(letters.index(text))
        return np.stack(rows), np.array(labels)

    (train, y), (test, z) = features(0), features(1)
    centroids = np.stack([train[y == label].mean(axis=0) for label in range(4)])
    guessed = ((test[:, None] - centroids) ** 2).sum(axis=-1).argmin(axis=1)
    assert len(z) > 80
    assert (guessed == z).mean() > 0.45


@needs_chinese
def test_chinese_is_drawn_with_fonts_that_have_it() -> None:
    assert CHINESE_FONT is not None
    pictures = RenderedText(40, seed=1, languages=("zh",), fonts=[CHINESE_FONT])
    texts = [pictures.items(i)[0] for i in range(40)]
    assert all(pictures.image(i).shape[0] == 32 for i in range(10))
    assert sum(line.language == "zh" for line in texts) > 36
    assert max(len(line.text) for line in texts) <= 8
    for index in range(10):
        chosen = pictures.shelf.find(texts[index].text, np.random.default_rng(index))
        assert chosen == str(CHINESE_FONT)


@needs_chinese
def test_both_languages_are_drawn_equally_often() -> None:
    pictures = RenderedText(1000, seed=0, fonts=[CHINESE_FONT] if CHINESE_FONT else None)
    share = np.mean([pictures.items(i)[0].language == "zh" for i in range(1000)])
    assert 0.44 < share < 0.56


def test_chinese_needs_a_font() -> None:
    with pytest.raises(ValueError, match=r"no font with Chinese characters is there; install fonts-noto-cjk"):
        RenderedText(4, seed=0, fonts=[])
    assert BUILT_IN.find("出口", np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length=0"),
        ({"height": 4}, "height=4"),
        ({"max_width": 20}, "max_width=20"),
        ({"languages": ()}, r"languages=\(\) must be of 'en' and 'zh'"),
        ({"languages": ("en", "fr")}, "must be of 'en' and 'zh'"),
        ({"words": ["出口"]}, "none of the 1 words can be written"),
        ({"words": []}, "none of the 0 words can be written"),
        ({"fonts": ["missing.ttf"]}, "the font missing.ttf cannot be opened"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    defaults: dict[str, object] = {"length": 3, "seed": 0, "languages": ("en",), "fonts": []}
    with pytest.raises(ValueError, match=message):
        RenderedText(**{**defaults, **arguments})  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="picture 3 of 3"):
        RenderedText(3, seed=0, languages=("en",), fonts=[]).image(3)


def test_given_words_are_drawn() -> None:
    pictures = RenderedText(400, seed=0, languages=("en",), words=["zebra", "出口"], fonts=[])
    texts = [pictures.items(i)[0].text for i in range(400)]
    assert sum("zebra" in text.lower() for text in texts) > 150
    assert {"zebra", "Zebra", "ZEBRA"} <= set(texts)


def test_every_rule_of_texts_gives_usable_texts() -> None:
    source = SignText()
    texts = [source.draw(np.random.default_rng(seed)) for seed in range(3000)]
    assert all(0 < len(line.text) <= 20 and line.text == line.text.strip() for line in texts)
    characters = {char for line in texts for char in line.text}
    assert set("0123456789ABCXYZabcxyz$.-!") <= characters
    chinese = [line.text for line in texts if line.language == "zh"]
    assert set(map(len, chinese)) >= {1, 2, 3, 4, 5, 6, 7}
    assert len(characters & set(level_one_characters())) > 1200


def test_characters_of_gb_2312() -> None:
    level_one = level_one_characters()
    assert len(level_one) == len(set(level_one)) == 3755
    assert (level_one[0], level_one[-1]) == ("啊", "座")
    assert len(FREQUENT_ZH) == len(set(FREQUENT_ZH))
    assert set(FREQUENT_ZH) <= set(level_one)
    assert all(word.isascii() and word == word.lower() for word in english_words())


def test_families_of_fonts() -> None:
    names = {
        "DejaVuSans-Bold.ttf": "DejaVuSans",
        "NotoSansCJK-Regular.ttc": "NotoSansCJK",
        "mine.ttf": "mine",
    }
    assert {name: family_of(Path(name)) for name in names} == names
    assert list(system_fonts()) == sorted(system_fonts(), key=lambda path: path.name)
    assert BUILT_IN.supports("aZ9$的") == set("aZ9$")
    assert isinstance(BUILT_IN.font("Pillow", 20), ImageFont.FreeTypeFont)


def test_speed_is_reported(record_property: pytest.RecordProperty) -> None:
    pictures = RenderedText(200, seed=0, languages=("en",), fonts=[])
    start = time.process_time()
    pixels = sum(pictures.image(index).size for index in range(200))
    record_property("pictures_a_second", 200 / (time.process_time() - start))
    assert pixels > 200 * 32 * 16 * 3


def test_every_picture_of_a_thousand_can_be_made() -> None:
    pictures = RenderedText(1000, seed=9, languages=("en",), fonts=[])
    deviations = [float(pictures.image(index).std()) for index in range(0, 1000, 3)]
    # A picture of one colour would be a label without a text.
    assert min(deviations) > 1.0
