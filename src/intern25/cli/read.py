# SPDX-License-Identifier: MIT
"""``intern25 read``: read the line of text that a picture shows."""

from __future__ import annotations

from collections.abc import Sequence

from intern25.cli.options import parse
from intern25.cli.text_options import SOURCES, TextOptions, check_text_options

_DESCRIPTION = (
    "Read pictures, each as one line of text, English or Chinese: a sign, a label, a plate that was cut out. "
    f"{SOURCES}"
)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(TextOptions, arguments, command="read", description=_DESCRIPTION)
    check_text_options(options)
    from intern25.cli.text_run import run_texts

    return run_texts(options, lambda predictor, images: predictor.read(images), label="read")
