# SPDX-License-Identifier: MIT
"""From files to small pictures."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.images import ImageReadError, read_image
from intern25.data.video import VideoReadError, picture_at, read_frames
from intern25.search.album import AlbumFile
from intern25.search.reading import LARGEST_SIDE, read_ahead, read_picture, video_moments
from tests.search.albums import save_video
from tests.search.color_embedder import COLORS


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def test_a_small_picture_is_as_it_is() -> None:
    image = gradient(90, 50)
    shown = read_picture(Path("a.png"), encoded(image, "PNG"))
    assert shown.size == (90, 50)
    assert (shown.pixels == np.asarray(image)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_picture_is_reduced_and_its_size_is_kept(kind: str) -> None:
    image = gradient(3000, 1500)
    shown = read_picture(Path("a"), encoded(image, kind))
    assert shown.size == (3000, 1500)
    assert shown.pixels.shape == (LARGEST_SIDE // 2, LARGEST_SIDE, 3)
    wanted = np.asarray(image.resize((LARGEST_SIDE, LARGEST_SIDE // 2), Image.Resampling.BOX)).astype(int)
    assert np.abs(shown.pixels - wanted).mean() < 2.0


def test_a_turned_picture_has_the_size_of_the_upright_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient(2400, 1200), "JPEG", exif=exif)
    shown = read_picture(Path("a.jpg"), data)
    assert shown.size == read_image(data).size == (1200, 2400)
    assert shown.pixels.shape == (LARGEST_SIDE, LARGEST_SIDE // 2, 3)


def test_damage_is_told_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(gradient(60, 60), "JPEG")[:-300])
    with pytest.raises(ImageReadError, match=r"cut\.jpg is damaged or cut short"):
        read_picture(path, path.read_bytes())


def test_files_come_in_order_and_few_wait(tmp_path: Path) -> None:
    files = []
    for number in range(40):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
        files.append(AlbumFile(path.name, "image", path.stat().st_size, 0))
    started, lock = 0, threading.Lock()

    def known(file: AlbumFile, content: str) -> bool:
        nonlocal started
        with lock:
            started += 1
        time.sleep(0.002 * (int(file.path[0]) % 3))
        return file.path == "7.png"

    reading = read_ahead(tmp_path, files, known, depth=6)
    for number, read in enumerate(reading):
        assert read.file is files[number]
        assert started <= number + 6
        if number == 7:
            assert read.is_known
            assert read.shown is None
        else:
            assert read.shown is not None
            assert read.shown.pixels[0, 0, 0] == number


def test_what_cannot_be_opened_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    files = [AlbumFile("gone.png", "image", 1, 0), AlbumFile("text.jpg", "image", 5, 0)]
    gone, text = read_ahead(tmp_path, files, lambda file, content: False, depth=2)
    assert gone.reason == f"{tmp_path / 'gone.png'} cannot be opened: No such file or directory"
    assert text.reason is not None
    assert f"{tmp_path / 'text.jpg'} is not a picture" in text.reason


@pytest.mark.parametrize(("every", "times"), [(1.0, [0, 1, 2, 3, 4, 5]), (2.5, [0, 2.5, 5]), (9.0, [0])])
def test_moments_of_a_video(tmp_path: Path, every: float, times: list[float]) -> None:
    video = save_video(tmp_path / "a.mp4", ["红", "green", "blue"])
    moments = list(video_moments(video, every))
    assert [moment.time for moment in moments] == pytest.approx(times)
    for moment in moments:
        assert moment.time is not None
        wanted = list(COLORS.values())[int(moment.time // 2)]
        assert np.abs(moment.pixels.mean(axis=(0, 1)) - wanted).max() < 12
        assert moment.size == (64, 48)


def test_a_picture_at_a_time_is_that_of_reading_on(tmp_path: Path) -> None:
    video = save_video(tmp_path / "a.mp4", ["红", "green", "blue", "black"], rate=5)
    for frame in read_frames(video, step=3):
        assert (np.asarray(picture_at(video, frame.time)) == np.asarray(frame.image)).all(), frame.time
    last = list(read_frames(video))[-1]
    assert (np.asarray(picture_at(video, 1e4)) == np.asarray(last.image)).all()
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(VideoReadError, match="is no video"):
        picture_at(tmp_path / "text.mp4", 0.0)
