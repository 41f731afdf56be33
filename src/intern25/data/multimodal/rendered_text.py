# SPDX-License-Identifier: MIT
"""Pictures of words and lines drawn on the fly, varied enough to learn to read photographs of signs from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from intern25.data.multimodal.fonts import FontShelf
from intern25.data.multimodal.records import Language, Line
from intern25.data.multimodal.rows import language_of
from intern25.data.multimodal.sign_text import SignText
from intern25.data.multimodal.text_backgrounds import Pixels, blotches, draw_ground, draw_inks
from intern25.data.multimodal.text_shapes import Coverage, bent, seen_from_aside, set_text
from intern25.data.seeding import derive_seed

_DRAWS = 50
"""Texts that are drawn until a font has all characters of one."""
_FONT_SIZES = (26, 34, 44)
_FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.BOX,
    Image.Resampling.LANCZOS,
)


class RenderedText:
    """Pictures of text lines, each a function of (seed, epoch, index); implements ``Pictures[Line]``.

    A text is set in some font with some spacing, bent, turned and seen from the side, coloured with shadow or
    outline on a plain or blotchy ground, blurred, made small, noised and stored as JPEG, each now and then.

    Convention:
        - the pictures follow from the arguments and the fonts: the same fonts give the same pictures.
        - all of the text is inside the picture.

    Args:
        length: Number of pictures.
        seed: Seed of all draws.
        height: Height of the pictures; those of long texts are squeezed to ``max_width``.
        max_width: Greatest width.
        languages: ``en``, ``zh`` or both.
        words: Words of either language to draw from; packaged ones by default. Random letters, numbers and
            the like are drawn besides.
        fonts: Font files; by default Pillow's own and the free fonts of the system.
        epoch: Pass over the data.

    Raises:
        ValueError: An argument is out of range, a font cannot be opened, or no font has Chinese characters
            though Chinese is asked for.

    Example:
        >>> pictures = RenderedText(4, seed=0, languages=("en",), fonts=[])
        >>> pictures.image(0).shape[0], pictures.items(0)[0].language
        (32, 'en')
    """

    def __init__(
        self,
        length: int,
        seed: int,
        *,
        height: int = 32,
        max_width: int = 256,
        languages: Sequence[Language] = ("en", "zh"),
        words: Sequence[str] | None = None,
        fonts: Sequence[str | Path] | None = None,
        epoch: int = 0,
    ) -> None:
        if length < 1 or height < 8 or max_width < height:
            raise ValueError(
                f"length={length}, height={height} and max_width={max_width}: at least one picture, 8 pixels "
                "high and as wide as high"
            )
        if not languages or not set(languages) <= {"en", "zh"}:
            raise ValueError(f"languages={tuple(languages)} must be of 'en' and 'zh', at least one")
        self.length, self.seed, self.epoch = length, seed, epoch
        self.height, self.max_width = height, max_width
        self.shelf = FontShelf(fonts)
        if "zh" in languages and not self.shelf.supports("的"):
            raise ValueError(
                "no font with Chinese characters is there; install fonts-noto-cjk or fonts-wqy-zenhei, give "
                "fonts=[paths], or draw languages=('en',) only"
            )
        self.source = _with_words(SignText(languages=tuple(languages)), words, self.shelf)

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        """Name of picture ``index``."""
        return f"rendered-{self.seed}-{self.epoch}-{index}"

    def items(self, index: int) -> tuple[Line]:
        """Text of picture ``index``."""
        return (self._draw_line(index)[0],)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Pixels of picture ``index``, ``(height, W, 3)`` with ``W`` up to ``max_width``."""
        line, font, generator = self._draw_line(index)
        return render_line(
            line.text, self.shelf, font, generator, height=self.height, max_width=self.max_width
        )

    def at_epoch(self, epoch: int) -> RenderedText:
        """Return as many other pictures, those of another epoch."""
        other = RenderedText.__new__(RenderedText)
        other.__dict__.update(self.__dict__)
        other.epoch = epoch
        return other

    def _draw_line(self, index: int) -> tuple[Line, str, np.random.Generator]:
        """Text and font of a picture, and the generator that draws the rest of it."""
        if not 0 <= index < self.length:
            raise IndexError(f"picture {index} of {self.length}")
        generator = np.random.default_rng(derive_seed(self.seed, self.epoch, index))
        for _ in range(_DRAWS):
            line = self.source.draw(generator)
            font = self.shelf.find(line.text, generator)
            if font is not None:
                return line, font, generator
        raise ValueError(
            f"no font has all characters of {line.text!r}, or of {_DRAWS - 1} other texts; give fonts="
        )


def _with_words(source: SignText, words: Sequence[str] | None, shelf: FontShelf) -> SignText:
    """Take the words of a caller, by language; those that no font can write are left out."""
    supported = shelf.supports({char for word in words or () for char in word})
    given = [word.strip() for word in words or () if word.strip() and set(word.replace(" ", "")) <= supported]
    if words is not None and not given:
        raise ValueError(
            f"none of the {len(words)} words can be written with the fonts; give others, or fonts="
        )
    english = [word for word in given if language_of(word) == "en"]
    chinese = [word for word in given if language_of(word) == "zh"]
    return replace(source, english=english or source.english, chinese=chinese or source.chinese)


def render_line(
    text: str,
    shelf: FontShelf,
    font: str,
    generator: np.random.Generator,
    *,
    height: int,
    max_width: int,
) -> NDArray[np.uint8]:
    """Draw one picture of a text; see :class:`RenderedText`.

    Returns:
        ``(height, W, 3)`` uint8.
    """
    ink = draw_shape(text, shelf, font, generator)
    pixels = _painted(ink, generator)
    ratio = float(generator.uniform(0.85, 1.2)) * height / ink.shape[0]
    width = min(max_width, max(height // 2, round(ink.shape[1] * ratio)))
    # The strokes of Chinese characters are too close to survive as much blur as letters do.
    blur = 0.5 if language_of(text) == "zh" else 1.0
    return _photographed(pixels, (width, height), blur, generator)


def draw_shape(text: str, shelf: FontShelf, name: str, generator: np.random.Generator) -> Coverage:
    """Set a text in the font ``name``, and bend and turn it; all of it is inside, ``(H, W)``."""
    size = _FONT_SIZES[int(generator.integers(len(_FONT_SIZES)))]
    font = shelf.font(name, size)
    spacing = 0
    if generator.random() < 0.3:
        spacing = round(float(generator.uniform(-0.04, 0.3)) * size)
    ink = set_text(font, text, spacing)
    if generator.random() < 0.12 and len(text) > 2:
        rise = float(generator.uniform(0.05, 0.35)) * ink.shape[0]
        ink = bent(ink, rise, float(generator.choice((0.0, np.pi, 1.5))), 1.0)
    turn = generator.random()
    angle = 0.0 if turn < 0.4 else float(generator.normal(0.0, 0.05 if turn < 0.85 else 0.14))
    # A long line that is turned would leave little height to its letters.
    angle /= max(1.0, ink.shape[1] / ink.shape[0] / 4.0)
    shear = float(generator.normal(0.0, 0.15)) if generator.random() < 0.35 else 0.0
    pull = np.zeros((4, 2))
    if generator.random() < 0.4:
        pull = generator.normal(0.0, 0.07, (4, 2)).clip(-0.2, 0.2)
    free = generator.beta(1.2, 3.0, 4) * 0.45 * ink.shape[0]
    left, top, right, bottom = (2 + round(float(margin)) for margin in free)
    return seen_from_aside(ink, angle, shear, pull, (left, top, right, bottom))


def _painted(ink: Coverage, generator: np.random.Generator) -> Pixels:
    """Colour a shape on a ground, with shadow, outline or lines of text nearby now and then."""
    inks = draw_inks(generator)
    pixels = draw_ground(generator, inks.ground, inks.contrast, (ink.shape[0], ink.shape[1]))
    share = ink.astype(np.float32)[..., None] / np.float32(255.0)
    extra = generator.random()
    if extra < 0.12:
        _shade(pixels, ink, inks.text.mean() < inks.ground.mean(), generator)
    elif extra < 0.24:
        wide = Image.fromarray(ink).filter(ImageFilter.MaxFilter(3 if extra < 0.2 else 5))
        outline = generator.uniform(0.0, 255.0, 3).astype(np.float32)
        # An outline as light as the text would make blots of its letters.
        if abs(float(outline.mean() - inks.text.mean())) > 40.0:
            cover = np.asarray(wide, dtype=np.float32)[..., None] / np.float32(255.0)
            pixels += cover * (outline - pixels)
    elif extra < 0.34:
        _add_neighbour(pixels, share, inks.text, generator)
    colour: Pixels | NDArray[np.float32] = inks.text
    if generator.random() < 0.2:
        colour = inks.text + blotches(generator, (ink.shape[0], ink.shape[1]), 0.2 * inks.contrast)
    opacity = np.float32(1.0 if generator.random() < 0.8 else generator.uniform(0.7, 1.0))
    pixels += (share * opacity) * (colour - pixels)
    return pixels


def _shade(pixels: Pixels, ink: Coverage, light: bool, generator: np.random.Generator) -> None:
    """Lay a shadow (or a glow) of the text on the ground, in place."""
    down, right = (int(step) for step in generator.integers(-3, 4, 2))
    moved = np.roll(ink, (down, right), axis=(0, 1))
    soft = Image.fromarray(moved).filter(ImageFilter.BoxBlur(float(generator.uniform(0.0, 2.0))))
    share = np.asarray(soft, dtype=np.float32)[..., None] * np.float32(generator.uniform(0.3, 0.8) / 255.0)
    pixels += share * (np.float32(255.0 if light else 0.0) - pixels)


def _add_neighbour(
    pixels: Pixels, share: Pixels, colour: NDArray[np.float32], generator: np.random.Generator
) -> None:
    """Let the edge of another line of text look in at the top or the bottom, in place."""
    height = pixels.shape[0]
    rows = np.flatnonzero(share[..., 0].any(axis=1))
    seen = int(generator.integers(1, max(2, height // 6)))
    other = share[:, ::-1]
    if generator.random() < 0.5:
        part, piece = pixels[-seen:], other[rows[0] : rows[0] + seen]
    else:
        part, piece = pixels[:seen], other[max(rows[-1] + 1 - seen, 0) : rows[-1] + 1]
    part = part[: len(piece)]
    part += piece * (colour - part)


def _photographed(
    pixels: Pixels, size: tuple[int, int], blur: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Blur, shrink, light, noise and compress a picture to ``size``, (width, height)."""
    picture = Image.fromarray(pixels.clip(0.0, 255.0).astype(np.uint8))
    if generator.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(blur * float(generator.uniform(0.4, 2.0))))
    if generator.random() < 0.25:
        low = 1.0 - blur * float(generator.uniform(0.2, 0.65))
        small = (max(4, round(size[0] * low)), max(6, round(size[1] * low)))
        picture = picture.resize(small, _FILTERS[int(generator.integers(4))])
    picture = picture.resize(size, _FILTERS[int(generator.integers(4))])
    if generator.random() < 0.12:
        picture = picture.filter(_motion(generator))
    if generator.random() < 0.5:
        picture = _lit(picture, generator)
    if generator.random() < 0.6:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(generator.integers(25, 95)))
        picture = Image.open(buffer)
    return np.array(picture, dtype=np.uint8)


def _motion(generator: np.random.Generator) -> ImageFilter.Kernel:
    """A short blur along a row, a column or a diagonal."""
    kernels = (
        (0, 0, 0, 1, 1, 1, 0, 0, 0),
        (0, 1, 0, 0, 1, 0, 0, 1, 0),
        (1, 0, 0, 0, 1, 0, 0, 0, 1),
        (0, 0, 1, 0, 1, 0, 1, 0, 0),
    )
    return ImageFilter.Kernel((3, 3), kernels[int(generator.integers(4))])


def _lit(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Change exposure and tint, and add the noise of a sensor."""
    values = np.asarray(picture, dtype=np.float32)
    gain = generator.uniform(0.65, 1.2) * generator.uniform(0.93, 1.07, 3)
    values = values * gain.astype(np.float32) + np.float32(generator.uniform(-20.0, 20.0))
    if generator.random() < 0.6:
        spread = np.float32(generator.uniform(1.0, 11.0))
        values = values + generator.standard_normal(values.shape, dtype=np.float32) * spread
    return Image.fromarray(values.clip(0.0, 255.0).astype(np.uint8))
