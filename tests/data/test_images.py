# SPDX-License-Identifier: MIT
"""Reading pictures: every kind of source and mode, and every kind of damage."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from intern25.data.images import ImageReadError, ImageSource, read_image

HEIGHT, WIDTH = 4, 6


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def values(source: ImageSource) -> np.ndarray:
    image = read_image(source)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_every_source_gives_the_same_picture(pixels: np.ndarray, tmp_path: Path) -> None:
    image = Image.fromarray(pixels)
    path = tmp_path / "图片.png"
    image.save(path)
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1)
    alpha = np.full((HEIGHT, WIDTH, 1), 255, dtype=np.uint8)
    sources: dict[str, ImageSource] = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "pillow": image,
        "array": pixels,
        "array RGBA": np.concatenate([pixels, alpha], axis=2),
        "array float32": (pixels / 255).astype(np.float32),
        "array uint16": pixels.astype(np.uint16) * 257,
        "array strided": pixels[::-1][::-1],
        "tensor": channels_first,
        "tensor float": channels_first / 255,
        "tensor float16": (channels_first / 255).half(),
    }
    for name, source in sources.items():
        assert np.array_equal(values(source), pixels), name


def test_the_source_is_left_alone(pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels)
    result = read_image(image)
    result.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(np.asarray(image), pixels)


def test_exif_rotation_is_applied(pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    data = encoded(Image.fromarray(pixels), "PNG", exif=exif)
    assert np.array_equal(values(data), np.rot90(pixels, k=-1))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_greyscale_has_three_equal_channels(mode: str, pixels: np.ndarray) -> None:
    grey = Image.fromarray(pixels).convert("L").convert(mode)
    expected = np.asarray(grey.convert("L"))
    assert np.array_equal(values(encoded(grey)), np.stack([expected] * 3, axis=2))
    assert np.array_equal(values(expected), np.stack([expected] * 3, axis=2))
    assert np.array_equal(values(torch.from_numpy(expected.copy())), np.stack([expected] * 3, axis=2))


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (2, 2), (200, 0, 0, 0))
    half = Image.new("LA", (2, 2), (0, 128))
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([10, 20, 30])
    palette.info["transparency"] = 0
    assert (values(encoded(clear)) == 255).all()
    assert (values(encoded(half)) == 127).all()
    assert (values(encoded(palette, transparency=0)) == 255).all()


def test_palette_and_cmyk() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert (values(encoded(red.convert("P"))) == (255, 0, 0)).all()
    cmyk = values(encoded(red.convert("CMYK"), "TIFF"))
    assert (cmyk == (255, 0, 0)).all()


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    expected = np.array([[0, 100, 255]], dtype=np.uint8)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(values(encoded(Image.fromarray(deep), kind))[:, :, 0], expected), kind
    assert np.array_equal(values(deep)[:, :, 1], expected)


def test_float_tiff_in_0_to_1(tmp_path: Path) -> None:
    path = tmp_path / "float.tiff"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(path)
    assert values(path)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ((255, 0, 0), (0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert (values(data) == (255, 0, 0)).all()


def jpeg() -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "JPEG")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its checksum is right, most of its pixels are missing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"no picture at all", "not a picture of a known format"),
    "cut_in_header": (lambda: jpeg()[:200], "damaged or cut short"),
    "cut_in_pixels": (lambda: jpeg()[:-800], "damaged or cut short"),
    "zeros": (lambda: bytes(5000), "not a picture of a known format"),
    "heic": (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
    "svg": (lambda: b'<?xml version="1.0"?><svg></svg>', "SVG"),
    "html": (lambda: b"<!DOCTYPE html><html></html>", "HTML"),
    "bomb": (lambda: png_of_size(60_000, 60_000), "too many pixels"),
    "no_pixels": (lambda: png_of_size(0, 7), r"no pixels|damaged|known format"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_named_and_explained(kind: str, tmp_path: Path) -> None:
    make, reason = BAD_FILES[kind]
    path = tmp_path / f"{kind}.jpg"
    path.write_bytes(make())
    with pytest.raises(ImageReadError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damage_anywhere_never_escapes_as_another_error() -> None:
    """Flip bytes all over small files of each format: a picture or ImageReadError, nothing else."""
    noise = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    generator = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        good = encoded(Image.fromarray(noise), kind)
        for _ in range(60):
            data = bytearray(good)
            for position in generator.integers(0, len(data), 6):
                data[position] = generator.integers(0, 256)
            with contextlib.suppress(ImageReadError):
                assert read_image(bytes(data[: generator.integers(8, len(data) + 1)])).mode == "RGB"


BAD_SOURCES: dict[str, tuple[object, type[Exception], str]] = {
    "missing": ("nowhere/at/all.jpg", ImageReadError, "does not exist"),
    "folder": (".", ImageReadError, "is a folder"),
    "address": ("https://example.org/cat.jpg", ImageReadError, "web address"),
    "nul": ("a\0b.jpg", ImageReadError, "cannot be opened"),
    "none": (None, TypeError, "NoneType"),
    "list": ([1, 2], TypeError, "list"),
    "int array": (np.zeros((4, 4, 3), dtype=np.int64), ImageReadError, "int64"),
    "bool array": (np.zeros((4, 4), dtype=bool), ImageReadError, "bool"),
    "normalised": (np.full((4, 4, 3), -1.5), ImageReadError, "before normalisation"),
    "0 to 255 float": (np.full((4, 4, 3), 200.0), ImageReadError, "expected 0..1"),
    "nan": (np.full((4, 4, 3), np.nan), ImageReadError, "NaN"),
    "channels first": (np.zeros((3, 40, 50), dtype=np.uint8), ImageReadError, r"transpose\(1, 2, 0\)"),
    "channels last": (torch.zeros(40, 50, 3), ImageReadError, r"permute\(2, 0, 1\)"),
    "batch": (torch.zeros(2, 3, 4, 4), ImageReadError, "batch"),
    "batch array": (np.zeros((2, 4, 4, 3), dtype=np.uint8), ImageReadError, "list of pictures"),
    "two channels": (np.zeros((4, 4, 2), dtype=np.uint8), ImageReadError, r"\(4, 4, 2\)"),
    "zero height": (np.zeros((0, 4, 3), dtype=np.uint8), ImageReadError, "no pixels"),
    "zero width": (torch.zeros(3, 4, 0), ImageReadError, "no pixels"),
    "32 bit": (Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)), ImageReadError, "70000"),
    "lab": (Image.new("LAB", (2, 2)), ImageReadError, "Lab"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_says_what_to_do(kind: str) -> None:
    source, error, reason = BAD_SOURCES[kind]
    with pytest.raises(error, match=reason):
        read_image(source)  # type: ignore[arg-type]
