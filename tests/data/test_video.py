# SPDX-License-Identifier: MIT
"""Videos: what is written is read back; damaged ones are named."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.video import VideoReadError, is_video, read_frames, video_facts, write_video

COLORS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200), (120, 120, 120)]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames of one colour each, 65 x 48, ten a second."""
    pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    frames = (Image.new("RGB", (65, 48), color) for color in COLORS)
    assert write_video(path, frames, rate=Fraction(10)) == 6
    return path


def test_frames_come_back(video: Path) -> None:
    frames = list(read_frames(video))
    assert [frame.number for frame in frames] == list(range(6))
    assert np.allclose([frame.time for frame in frames], np.arange(6) / 10)
    for frame, color in zip(frames, COLORS, strict=True):
        assert frame.image.size == (64, 48)  # the odd column is cut off
        # Lossy: colours are kept with 8 bits of brightness and half the resolution.
        assert np.abs(np.asarray(frame.image)[24, 32].astype(int) - color).max() < 12


def test_every_third_frame(video: Path) -> None:
    assert [frame.number for frame in read_frames(video, step=3)] == [0, 3]
    with pytest.raises(ValueError, match="step=0"):
        next(read_frames(video, step=0))


def test_facts(video: Path) -> None:
    facts = video_facts(video)
    assert facts.rate == 10
    assert facts.frames == 6


def test_endings() -> None:
    assert is_video("a/b.MP4")
    assert not is_video("a/b.jpg")


def test_a_video_of_a_phone_held_upright_is_turned(tmp_path: Path) -> None:
    pytest.importorskip("av")
    sensor = Image.new("RGB", (96, 64), (200, 30, 30))
    sensor.paste((30, 30, 200), (48, 0, 96, 64))
    path = tmp_path / "a.mp4"
    write_video(path, [sensor], rate=Fraction(10))
    data = bytearray(path.read_bytes())
    # The track header's matrix, 40 bytes after its name: x goes down, y to the left (a clockwise turn).
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (frame,) = read_frames(path)
    assert frame.image.size == (64, 96)
    top, bottom = (np.asarray(frame.image)[row, 32].astype(int) for row in (10, 85))
    assert np.abs(top - (200, 30, 30)).max() < 20
    assert np.abs(bottom - (30, 30, 200)).max() < 20


def test_what_is_no_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoReadError, match=r"text\.mp4 is no video"):
        video_facts(tmp_path / "text.mp4")
    with pytest.raises(VideoReadError, match="does not exist"):
        next(read_frames(tmp_path / "none.mp4"))


def test_a_video_cut_short_gives_its_frames_or_is_named(video: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:-400])
    with pytest.raises(VideoReadError, match=r"cut\.mp4"):
        list(read_frames(cut))


def test_a_failed_video_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("av")
    frames = [Image.new("RGB", (64, 48)), Image.new("RGB", (32, 48))]
    with pytest.raises(ValueError, match="cannot be in one video"):
        write_video(tmp_path / "a.mp4", frames, rate=Fraction(10))
    assert write_video(tmp_path / "a.mp4", [], rate=Fraction(10)) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"must end in \.mp4"):
        write_video(tmp_path / "a.avi", frames, rate=Fraction(10))


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'intern25\[video\]'"):
        video_facts("a.mp4")
