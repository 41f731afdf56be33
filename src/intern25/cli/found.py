# SPDX-License-Identifier: MIT
"""What ``detect`` and ``segment`` do with their results: print, draw and save them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from intern25.cli.picture_options import PictureOptions
from intern25.cli.source_run import SourceRun

if TYPE_CHECKING:
    from PIL import Image

    from intern25.cli.coco_file import CocoWriter
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
        self.coco: CocoWriter[Found] = coco
        self.sources: SourceRun[Found] = SourceRun(
            options, predict=predict, rows=rows, summary=summary, writer=self
        )

    def run(self, sources: Sequence[str], *, label: str) -> int:
        """Work through the sources and return the exit status."""
        from intern25.data.video import is_video

        if any(map(is_video, sources)) and set(self.options.save) - {"json"}:
            raise ValueError("--save masks and --save coco are for pictures; videos have --save json")
        try:
            return self.sources.run(sources, label=label)
        finally:  # what is done is not lost when the rest is stopped
            if "coco" in self.options.save and self.options.output is not None:
                self.coco.write(self.options.output)

    def save(self, result: Found, stem: Path) -> Path:
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

    def frame(self, result: Found) -> Image.Image:
        """Draw a frame of a video; all have the size of the first: no legend that comes and goes."""
        return result.draw(language=self.options.language, font=self.options.font, legend=False)

    def save_video(self, lines: Sequence[str], stem: Path) -> None:
        """Write a line of JSON for each frame, where that was asked for."""
        from intern25.data.writing import write_whole

        if "json" in self.options.save:
            text = "\n".join([*lines, ""])
            write_whole(
                stem.with_name(f"{stem.name}.jsonl"), lambda path: path.write_text(text, encoding="utf-8")
            )
