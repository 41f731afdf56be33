# SPDX-License-Identifier: MIT
"""What ``caption``, ``ask`` and ``read`` do: open the generalist, print its texts and draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from intern25.cli.picture_options import check_model
from intern25.cli.pictures import prepare_output
from intern25.cli.source_run import SourceRun
from intern25.cli.sources import expand_sources
from intern25.cli.text_options import TextOptions
from intern25.defaults import DEFAULT_GENERALIST

if TYPE_CHECKING:
    from PIL import Image

    from intern25.predictors import GeneralistPredictor
    from intern25.results import Text

# Frames of a video have one size, so their texts have one height.
_LINES_OF_A_FRAME = 3


def run_texts(
    options: TextOptions,
    tell: Callable[[GeneralistPredictor, list[Image.Image]], list[Text]],
    *,
    label: str,
) -> int:
    """Run the command and return the exit status.

    Args:
        options: The command's options, already checked.
        tell: From pictures to texts.
        label: Name of the command.
    """
    sources = expand_sources(options.sources, with_videos=True)
    prepare_output(options.output, sources)
    check_model(options.model, DEFAULT_GENERALIST, task="pictures and words")
    from intern25.predictors import GeneralistPredictor, load_as

    predictor = load_as(
        GeneralistPredictor, options.model, device=options.device, batch_size=options.batch_size
    )
    work: SourceRun[Text] = SourceRun(
        options,
        predict=lambda images: tell(predictor, images),
        rows=text_rows,
        summary=lambda result: f"{_shown(result.text)}  ({result.score:.0%})",
        writer=DrawnTexts(options.font),
    )
    return work.run(sources, label=label)


def text_rows(result: Text) -> list[str]:
    """Return a line for the text and one for each answer that was not chosen."""
    rows = [(result.score, result.text), *((other.score, other.text) for other in result.alternatives)]
    return [f"{score:>7.1%}  {_shown(text)}" for score, text in rows]


class DrawnTexts:
    """Pictures with the texts below them.

    Args:
        font: Font file; None for the system's.
    """

    def __init__(self, font: Path | None) -> None:
        self.font = font

    def save(self, result: Text, stem: Path) -> Path:
        """Write the drawing as a PNG and return its path."""
        from intern25.data.writing import write_whole

        drawn, path = result.draw(font=self.font), stem.with_name(f"{stem.name}.png")
        write_whole(path, lambda temporary: drawn.save(temporary, format="PNG"))
        return path

    def frame(self, result: Text) -> Image.Image:
        """Draw a frame of a video."""
        return result.draw(font=self.font, lines=_LINES_OF_A_FRAME)

    def save_video(self, lines: Sequence[str], stem: Path) -> None:
        """Nothing more: the lines were printed."""


def _shown(text: str) -> str:
    return text or "(nothing)"
