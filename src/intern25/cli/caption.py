# SPDX-License-Identifier: MIT
"""``intern25 caption``: describe pictures in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from intern25.cli.options import parse
from intern25.cli.text_options import SOURCES, TextOptions, check_text_options

_DESCRIPTION = f"Describe pictures in a sentence, in English or Chinese. {SOURCES}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionOptions(TextOptions):
    """Options of ``intern25 caption``."""

    language: Literal["en", "zh"] = "en"
    """Language of the sentence."""
    beams: int = 1
    """Hypotheses that are followed; more take longer and find likelier sentences."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(CaptionOptions, arguments, command="caption", description=_DESCRIPTION)
    check_text_options(options)
    if options.beams < 1:
        raise ValueError(f"--beams {options.beams} must be 1 or more")
    from intern25.cli.text_run import run_texts

    return run_texts(
        options,
        lambda predictor, images: predictor.caption(images, options.language, beams=options.beams),
        label="caption",
    )
