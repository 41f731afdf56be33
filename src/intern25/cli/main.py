# SPDX-License-Identifier: MIT
"""Entry point of the ``intern25`` command: finds the sub-command, and turns user errors into one line.

What is special: the first word is looked up in a literal table, so the list of commands appears without
importing torch, tyro or any sub-command.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from intern25._version import __version__
from intern25.cli.exits import INTERRUPTED, USER_ERROR

COMMANDS: dict[str, tuple[str, str]] = {
    "classify": ("intern25.cli.classify", "name what pictures show, in English and Chinese"),
    "detect": ("intern25.cli.detect", "find objects in pictures and videos, with boxes and masks"),
    "segment": ("intern25.cli.segment", "name the class of each pixel of pictures and videos"),
    "caption": ("intern25.cli.caption", "describe pictures in a sentence, in English or Chinese"),
    "ask": ("intern25.cli.ask", "answer a question about pictures"),
    "read": ("intern25.cli.read", "read the line of text that a picture shows"),
    "search": ("intern25.cli.search", "find pictures and moments of videos in an album, by text or example"),
    "demo": ("intern25.cli.demo", "serve a web page on which a generalist does all of this"),
    "train": ("intern25.cli.train", "train or fine-tune a model on your own pictures"),
    "eval": ("intern25.cli.evaluate", "measure a model on a labelled data set"),
    "convert": (
        "intern25.cli.convert",
        "convert weights between the official, Hugging Face and intern25 layouts",
    ),
    "bench": ("intern25.cli.bench", "measure the speed of the operator and of whole models"),
    "info": ("intern25.cli.info", "show versions, backends and the catalog, or the facts of one model"),
}
"""Sub-command to (module with ``run(arguments) -> int``, one line of help)."""

_EXAMPLES = """\
examples:
  intern25 classify photo.jpg
  intern25 classify photos/ --language both --output drawn/
  intern25 detect street.mp4 --classes person 自行车 --output drawn/
  intern25 ask "图中有几辆车?" street.jpg
  intern25 search "red bus" photos/ --sheet found.jpg
  intern25 info internimage_t --flops
  intern25 train classify --data pictures/ --model internimage_nano
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words after ``intern25``; None takes those of the process.

    Returns:
        Exit status: 0 done, 1 done except for some inputs, 2 user error, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _never_fail_on_encoding()
    _set_log_level()
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"intern25 {__version__}")
        return 0
    command, *rest = words
    if command not in COMMANDS:
        close = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"commands: {', '.join(COMMANDS)}"
        print(f"intern25: error: unknown command {command!r}; {hint}", file=sys.stderr)
        return USER_ERROR
    return _run(command, rest)


def help_text() -> str:
    """Return the text of ``intern25 --help``."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: intern25 COMMAND [OPTIONS]\n\nintern25 {__version__}: InternImage on any machine\n\n"
        f"commands:\n{rows}\n\noptions:\n"
        "  -h, --help     show this text; COMMAND --help shows a command's options\n"
        f"  -V, --version  show the version\n\n{_EXAMPLES}"
    )


def _run(command: str, arguments: list[str]) -> int:
    """Run one sub-command; whatever a user can cause ends as one line, not as a traceback."""
    try:
        status: int = importlib.import_module(COMMANDS[command][0]).run(arguments)
        # A reader that has gone is noticed here, not at exit where Python would print a traceback.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("intern25: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _detach_stdout()
        return 0
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        logging.getLogger(__name__).debug("traceback of the error below", exc_info=True)
        print(f"intern25: error: {error_text(error)}", file=sys.stderr)
        return USER_ERROR
    return status


def error_text(error: BaseException) -> str:
    """Return the message as one line; rows of a list in it, which begin with two blanks, stay rows."""
    text = _system_text(error) if isinstance(error, OSError) else str(error)
    rows = "\n  ".join(" ".join(row.split()) for row in text.split("\n  "))
    return rows or type(error).__name__


_WAYS_OUT = {
    errno.ENOSPC: "make room and run the command again",
    errno.EDQUOT: "make room and run the command again",
    errno.EACCES: "mend its permissions or choose another place",
    errno.EPERM: "mend its permissions or choose another place",
    errno.EROFS: "choose another place",
    errno.EEXIST: "choose another name",
    errno.ENOTDIR: "choose another place",
}


def _system_text(error: OSError) -> str:
    """Text of an error of the system: the file before the trouble, and what can be done about it."""
    if error.errno is None or not error.strerror:
        return str(error)
    parts = [error.strerror, _WAYS_OUT.get(error.errno, "")]
    text = "; ".join(part for part in parts if part)
    return text if error.filename is None else f"{error.filename}: {text}"


def _detach_stdout() -> None:
    """Point stdout at nothing: the reader (``| head``) has closed the pipe."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_log_level() -> None:
    """Show the library's log from the level ``INTERN25_LOG_LEVEL`` up; DEBUG adds tracebacks to errors."""
    logger = logging.getLogger("intern25")
    level = os.environ.get("INTERN25_LOG_LEVEL", "WARNING").upper()
    logger.setLevel(level if level in logging.getLevelNamesMapping() else "WARNING")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("intern25: %(levelname)s: %(message)s"))
        logger.addHandler(handler)


def _never_fail_on_encoding() -> None:
    """Escape what a terminal cannot show (Chinese on a Latin-1 console) instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
