# SPDX-License-Identifier: MIT
"""From the words of the command line to a frozen dataclass, by its types and attribute docstrings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import tyro

Options = TypeVar("Options")


def parse(
    options: type[Options],
    arguments: Sequence[str],
    *,
    command: str,
    description: str,
    default: Options | None = None,
) -> Options:
    """Read ``arguments`` into ``options``.

    Args:
        options: A dataclass; its attribute docstrings are the help.
        arguments: Words after the command.
        command: Command and sub-command, for the usage line.
        description: Paragraph above the options.
        default: Values of the options that are not given; None for those of the class.

    Returns:
        An instance of ``options``.

    Raises:
        SystemExit: ``--help`` was asked for (status 0), or a word is wrong (status 2, after a message).
    """
    return tyro.cli(
        options,
        args=arguments,
        prog=f"intern25 {command}",
        description=description,
        default=tyro.MISSING_NONPROP if default is None else default,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def refuse_unused(arguments: Sequence[str], unused: Mapping[str, str], *, command: str) -> None:
    """Refuse options that other commands have and this one has no use for; its help does not show them.

    Args:
        arguments: Words after the command.
        unused: Name of the field to what takes its place.
        command: Command and sub-command.

    Raises:
        ValueError: One is given.
    """
    for word in arguments:
        option = word.partition("=")[0].replace("_", "-")
        name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
        if option.startswith("--") and name in unused:
            raise ValueError(f"{option} changes nothing in {command!r}: {unused[name]}")


def split_task(
    arguments: Sequence[str], tasks: Mapping[str, str], *, command: str
) -> tuple[str | None, list[str]]:
    """Take the task off the front of ``arguments``.

    Args:
        arguments: Words after the command.
        tasks: Task to its line of help.
        command: The command, for messages.

    Returns:
        The task and the words after it; the task is None when help was asked for and printed.

    Raises:
        ValueError: The first word is no task.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, tasks))
        rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in tasks.items())
        print(f"usage: intern25 {command} TASK [OPTIONS]\n\ntasks:\n{rows}\n\nTASK --help shows its options.")
        return None, []
    task, *rest = arguments
    if task not in tasks:
        close = difflib.get_close_matches(task, tasks, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"tasks: {', '.join(tasks)}"
        raise ValueError(f"unknown task {task!r} of {command!r}; {hint}")
    return task, rest
