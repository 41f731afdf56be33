# SPDX-License-Identifier: MIT
"""Videos, read and written frame by frame through PyAV (the ``video`` extra).

What is special: frames come upright, as players show them, with the time they are shown at; a written file
appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from intern25.data.writing import write_whole

if TYPE_CHECKING:
    from PIL import Image

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"})

_USUAL_RATE = Fraction(25)


class VideoReadError(ValueError):
    """A video could not be read; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video."""

    number: int
    """Position in the video, from 0."""
    time: float
    """When it is shown, seconds from the start."""
    image: Image.Image
    """Upright RGB picture."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the header of a video says."""

    rate: Fraction
    """Frames a second."""
    frames: int | None
    """Number of frames, None where the header does not say."""


def is_video(name: str | Path) -> bool:
    """Whether the ending of ``name`` is that of a video."""
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def video_facts(path: str | Path) -> VideoFacts:
    """Read the header of a video.

    Raises:
        VideoReadError: It is missing, damaged or no video.
        ImportError: PyAV is not installed.
    """
    with _opened(path) as container:
        stream = _video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        seconds = container.duration / 1e6 if container.duration else 0.0
        return VideoFacts(Fraction(rate), stream.frames or round(seconds * rate) or None)


def read_frames(path: str | Path, *, step: int = 1) -> Iterator[Frame]:
    """Read every ``step``-th frame of a video, from the first.

    Args:
        path: Video in any format that FFmpeg reads.
        step: 1 for all frames.

    Yields:
        Frames in the order they are shown.

    Raises:
        VideoReadError: The video is missing, damaged or none; the frames before the damage have been given.
        ValueError: ``step`` is below 1.
        ImportError: PyAV is not installed.
    """
    if step < 1:
        raise ValueError(f"step={step} must be 1 or more")
    av = _av()
    with _opened(path) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
        number = -1
        try:
            for number, frame in enumerate(container.decode(stream)):
                if number % step == 0:
                    time = number / rate if frame.time is None else float(frame.time)
                    yield Frame(number, time, _upright(frame))
        except av.FFmpegError as error:
            raise VideoReadError(f"{path} is damaged after frame {number} ({error.strerror})") from error
    if number < 0:
        raise VideoReadError(f"{path} holds no frames; copy or download it again")


def picture_at(path: str | Path, time: float) -> Image.Image:
    """Return the upright RGB picture that a video shows at ``time``, without decoding all that comes before.

    Args:
        path: Video in any format that FFmpeg reads.
        time: Seconds from the start, as :func:`read_frames` gives them; after the end the last frame counts.

    Raises:
        VideoReadError: The video is missing, damaged before that frame, or none.
        ImportError: PyAV is not installed.
    """
    av = _av()
    with _opened(path) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        last = None
        try:
            container.seek(max(0, int(time / stream.time_base)), stream=stream)
            for frame in container.decode(stream):
                last = frame
                # Times are rounded to the clock of the file.
                if frame.time is None or frame.time >= time - float(stream.time_base):
                    break
        except av.FFmpegError as error:
            if last is None:
                raise VideoReadError(f"{path} is damaged at {time:.1f} s ({error.strerror})") from error
    if last is None:
        raise VideoReadError(f"{path} holds no frames at {time:.1f} s; copy or download it again")
    return _upright(last)


def write_video(path: str | Path, frames: Iterable[Image.Image], *, rate: Fraction) -> int:
    """Write pictures of one size as an H.264 video, whole or not at all.

    Args:
        path: Destination, ``.mp4``.
        frames: RGB pictures; an odd last row or column is cut off, the format has none.
        rate: Frames a second.

    Returns:
        The number of frames; a video without frames is not written.

    Raises:
        ValueError: ``path`` does not end in .mp4, its folder does not exist, or the sizes differ.
        ImportError: PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path} must end in .mp4")
    _av()
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        return 0
    written = 1

    def counted() -> Iterator[Image.Image]:
        nonlocal written
        yield first
        for picture in pictures:
            written += 1
            yield picture

    write_whole(path, _encoder(counted(), (first.width // 2 * 2, first.height // 2 * 2), rate))
    return written


def _encoder(frames: Iterable[Image.Image], size: tuple[int, int], rate: Fraction) -> Callable[[Path], None]:
    av = _av()

    def encode(temporary: Path) -> None:
        with av.open(str(temporary), mode="w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            for picture in frames:
                if (picture.width // 2 * 2, picture.height // 2 * 2) != size:
                    raise ValueError(f"frames of {picture.size} and {size} cannot be in one video")
                frame = av.VideoFrame.from_image(picture.crop((0, 0, *size)))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return encode


def _upright(frame: Any) -> Image.Image:
    """The frame as a picture, turned as the file says: phones store what the sensor saw."""
    picture: Image.Image = frame.to_image()
    turn = round(getattr(frame, "rotation", 0)) % 360
    return picture.rotate(turn, expand=True) if turn else picture


def _opened(path: str | Path) -> Any:
    av = _av()
    if not Path(path).is_file():
        raise VideoReadError(f"{path} does not exist; check the path")
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise VideoReadError(
            f"{path} is no video, or its start is damaged ({error.strerror}); copy or download it again"
        ) from error


def _video_stream(container: Any, path: str | Path) -> Any:
    if not len(container.streams):
        raise VideoReadError(
            f"{path} is damaged or cut short: it holds no pictures; copy or download it again"
        )
    if not container.streams.video:
        raise VideoReadError(f"{path} holds sound but no pictures")
    return container.streams.video[0]


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ImportError("videos need PyAV: pip install 'intern25[video]'") from error
    return av
