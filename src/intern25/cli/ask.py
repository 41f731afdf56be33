# SPDX-License-Identifier: MIT
"""``intern25 ask``: answer a question about pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from intern25.cli.options import parse
from intern25.cli.text_options import SOURCES, TextOptions, check_text_options

_DESCRIPTION = (
    "Answer a question about each picture, in the language of the question; with --answers choose one of "
    f"them and show the probability of each. {SOURCES}"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What stands in front of the pictures."""

    question: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="QUESTION")]
    """The question, in English or Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskOptions(TextOptions, Asked):
    """Options of ``intern25 ask``."""

    answers: tuple[str, ...] = ()
    """Answers to choose from, two or more; without them one is written."""
    language: Literal["en", "zh"] | None = None
    """What results say their language is; by default that of the question."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(AskOptions, arguments, command="ask", description=_DESCRIPTION)
    check_text_options(options)
    if not options.question.strip():
        raise ValueError("the question is empty; write one in front of the pictures")
    if len(options.answers) == 1:
        raise ValueError(f"--answers {options.answers[0]} leaves nothing to choose between; give two or more")
    from intern25.cli.text_run import run_texts

    answers, language = options.answers or None, options.language
    return run_texts(
        options,
        lambda predictor, images: predictor.ask(images, options.question, answers, language=language),
        label="ask",
    )
