# SPDX-License-Identifier: MIT
"""What ``detect`` and ``segment`` do with their results: print, draw and save them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from intern25.cli.picture_options import PictureOptions
from intern25.cli.pictures import OutputNames, exit_status, predict_pictures, report_failure
from intern25.cli.progress import track

if TYPE_CHECKING:
    from PIL import Image

    from intern25.cli.coco_file import CocoWriter
    from intern25.data.video import Frame, VideoFacts, VideoReadError
    from intern25.results import Detections, PanopticMap, SemanticMap


Found = TypeVar("Found", "Detections", "SemanticMap", "PanopticMap")


class FoundRun(Generic[Found]):
    """One run of a command over its sources.

    Args:
        options: The command's options.
        predict: Pictures to results.
        rows: Lines of text of one result.
        summary: One line of text of one result.
        coco: Collects the results for ``--save coco``.
    """

    def __init__(
        self,
        options: PictureOptions,
        *,
        predict: Callable[[list[Image.Image]], list[Found]],
        rows: Callable[[Found], list[str]],
        summary: Callable[[Found], str],
        coco: CocoWriter[Found],
    ) -> None:
        self.options = options
        self.predict: Callable[[list[Image.Image]], list[Found]] = predict
        self.rows: Callable[[Found], list[str]] = rows
        self.summary: Callable[[Found], str] = summary
        self.names = None if options.output is None else OutputNames(options.output)
        self.coco: CocoWriter[Found] = coco

    def run(self, sources: Sequence[str], *, label: str) -> int:
        """Work through the sources and return the exit status."""
        from intern25.data.video import is_video

        if any(map(is_video, sources)) and set(self.options.save) - {"json"}:
            raise ValueError("--save masks and --save coco are for pictures; videos have --save json")
        failed = 0
        try:
            for videos, group in itertools.groupby(sources, key=is_video):
                names = list(group)
                failed += sum(map(self._video, names)) if videos else self._pictures(names, label)
        finally:  # what is done is not lost when the rest is stopped
            if "coco" in self.options.save and self.options.output is not None:
                self.coco.write(self.options.output)
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
            drawn = self._save(result, stem)
        if self.options.json:
            print(result.to_json(), flush=True)
        else:
            title = f"{result.source}" if drawn is None else f"{result.source} -> {drawn}"
            print("\n".join([title, *self.rows(result)]), flush=True)

    def _save(self, result: Found, stem: Path) -> Path:
        """Write what was asked for beside ``stem`` and return the path of the drawing."""
        from intern25.data.writing import write_whole

        masks = stem.with_name(f"{stem.name}_masks.png")
        if "masks" in self.options.save:
            result.save_masks(masks)
        if "json" in self.options.save:
            text = result.to_json(masks=True) + "\n"
            write_whole(
                stem.with_name(f"{stem.name}.json"), lambda path: path.write_text(text, encoding="utf-8")
            )
        if "coco" in self.options.save:
            self.coco.add(result, masks)
        drawn = result.draw(language=self.options.language, font=self.options.font)
        path = stem.with_name(f"{stem.name}.png")
        write_whole(path, lambda temporary: drawn.save(temporary, format="PNG"))
        return path

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
        from intern25.data.writing import write_whole

        if self.names is None:
            for _ in results:
                pass
            return
        stem = self.names.stem(name)
        lines: list[str] = []
        drawn = stem.with_name(f"{stem.name}.mp4")
        count = write_video(drawn, self._drawings(results, lines), rate=facts.rate / self.options.frame_step)
        if "json" in self.options.save:
            text = "\n".join([*lines, ""])
            write_whole(
                stem.with_name(f"{stem.name}.jsonl"), lambda path: path.write_text(text, encoding="utf-8")
            )
        if count and not self.options.json:
            print(f"{name} -> {drawn}", flush=True)

    def _drawings(self, results: Iterator[tuple[str, Found]], lines: list[str]) -> Iterator[Image.Image]:
        for line, result in results:
            lines.append(line)
            # Every frame of a video has the size of the first: no legend that comes and goes.
            yield result.draw(language=self.options.language, font=self.options.font, legend=False)

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
