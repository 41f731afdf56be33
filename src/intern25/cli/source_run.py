# SPDX-License-Identifier: MIT
"""One run of a command over pictures and videos: predict, print, and hand on what is to be saved."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from intern25.cli.pictures import OutputNames, exit_status, predict_pictures, report_failure
from intern25.cli.progress import track

if TYPE_CHECKING:
    from PIL import Image

    from intern25.data.video import Frame, VideoFacts, VideoReadError
    from intern25.results import Detections, PanopticMap, SemanticMap, Text


Found = TypeVar("Found", "Detections", "SemanticMap", "PanopticMap", "Text")
Written = TypeVar("Written", contravariant=True)


class RunOptions(Protocol):
    """What all such commands are told."""

    @property
    def json(self) -> bool:
        """Print lines of JSON."""

    @property
    def output(self) -> Path | None:
        """Folder for drawings."""

    @property
    def frame_step(self) -> int:
        """Of a video, every how many frames one is looked at."""

    @property
    def batch_size(self) -> int:
        """Pictures that go through the model at once."""


class Writer(Protocol[Written]):
    """What is done with results beside printing them."""

    def save(self, result: Written, stem: Path) -> Path:
        """Write what was asked for beside ``stem`` and return the path of the drawing."""

    def frame(self, result: Written) -> Image.Image:
        """Return the drawing of a frame; those of a video have one size."""

    def save_video(self, lines: Sequence[str], stem: Path) -> None:
        """Write what was asked for beside the drawing of a video, of which ``lines`` are the frames."""


class SourceRun(Generic[Found]):
    """One run of a command over its sources.

    Args:
        options: The command's options.
        predict: Pictures to results.
        rows: Lines of text of one result.
        summary: One line of text of one result.
        writer: What is done with results where there is a folder for them.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        predict: Callable[[list[Image.Image]], list[Found]],
        rows: Callable[[Found], list[str]],
        summary: Callable[[Found], str],
        writer: Writer[Found],
    ) -> None:
        self.options = options
        self.predict: Callable[[list[Image.Image]], list[Found]] = predict
        self.rows: Callable[[Found], list[str]] = rows
        self.summary: Callable[[Found], str] = summary
        self.writer: Writer[Found] = writer
        self.names = None if options.output is None else OutputNames(options.output)

    def run(self, sources: Sequence[str], *, label: str) -> int:
        """Work through the sources and return the exit status."""
        from intern25.data.video import is_video

        failed = 0
        for videos, group in itertools.groupby(sources, key=is_video):
            names = list(group)
            failed += sum(map(self._video, names)) if videos else self._pictures(names, label)
        return exit_status(failed, len(sources))

    def _pictures(self, names: Sequence[str], label: str) -> int:
        failed = 0
        results = predict_pictures(self.predict, names, self.options.batch_size)
        for name, result in track(results, total=len(names), label=label):
            if isinstance(result, str):
                failed += 1
                report_failure(name, result, as_json=self.options.json)
            else:
                self._picture(result)
        return failed

    def _picture(self, result: Found) -> None:
        drawn = None
        if self.names is not None:
            assert result.source is not None, "a result of the command line has a name"
            stem = self.names.stem(result.source)
            drawn = self.writer.save(result, stem)
        if self.options.json:
            print(result.to_json(), flush=True)
        else:
            title = f"{result.source}" if drawn is None else f"{result.source} -> {drawn}"
            print("\n".join([title, *self.rows(result)]), flush=True)

    def _video(self, name: str) -> bool:
        """Work through one video and return whether it failed; what comes before the damage is kept."""
        from intern25.data.video import VideoReadError, video_facts

        damage: list[VideoReadError] = []
        try:
            facts = video_facts(name)
            self._write_video(name, facts, self._until_damage(name, facts.frames, damage))
        except VideoReadError as error:
            damage.append(error)
        for reason in map(str, damage):
            report_failure(name, reason, as_json=self.options.json)
        return bool(damage)

    def _write_video(self, name: str, facts: VideoFacts, results: Iterator[tuple[str, Found]]) -> None:
        """Draw and save the results of a video, or only go through them without a folder."""
        from intern25.data.video import write_video

        if self.names is None:
            for _ in results:
                pass
            return
        stem = self.names.stem(name)
        lines: list[str] = []
        drawn = stem.with_name(f"{stem.name}.mp4")
        count = write_video(drawn, self._drawings(results, lines), rate=facts.rate / self.options.frame_step)
        self.writer.save_video(lines, stem)
        if count and not self.options.json:
            print(f"{name} -> {drawn}", flush=True)

    def _drawings(self, results: Iterator[tuple[str, Found]], lines: list[str]) -> Iterator[Image.Image]:
        for line, result in results:
            lines.append(line)
            yield self.writer.frame(result)

    def _until_damage(
        self, name: str, total: int | None, damage: list[VideoReadError]
    ) -> Iterator[tuple[str, Found]]:
        """Predict a video and print a line for each frame; where it is damaged the frames end."""
        from intern25.data.video import VideoReadError, read_frames

        frames = self._predicted(read_frames(name, step=self.options.frame_step))
        count = 0 if total is None else -(-total // self.options.frame_step)
        try:
            for frame, result in track(frames, total=count, label=Path(name).name):
                record = {"source": name, "frame": frame.number, "time": round(frame.time, 4)}
                line = json.dumps(record | {**result.to_record(), "source": name}, ensure_ascii=False)
                text = f"{name} {frame.time:8.2f} s  {self.summary(result)}"
                print(line if self.options.json else text, flush=True)
                yield line, result
        except VideoReadError as error:
            damage.append(error)

    def _predicted(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, Found]]:
        """Predict frames batch by batch; those read before an error are predicted before it is raised."""
        from intern25.data.video import VideoReadError

        damage: VideoReadError | None = None
        while damage is None:
            batch: list[Frame] = []
            try:
                for frame in itertools.islice(frames, self.options.batch_size):
                    batch.append(frame)  # What was read stays when the next one fails.
            except VideoReadError as error:
                damage = error
            if not batch and damage is None:
                return
            yield from zip(batch, self.predict([frame.image for frame in batch]), strict=True)
        raise damage
