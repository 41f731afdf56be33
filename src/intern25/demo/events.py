# SPDX-License-Identifier: MIT
"""What a click does: one request at a time goes to the model, and what is wrong becomes one line."""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

WAITING = 16
"""Requests that may wait; more are turned away."""

_LONGEST_LINE = 300
_NOTE_SECONDS = 6
_log = logging.getLogger(__name__)


def on(
    triggers: Sequence[Callable[..., Any]],
    function: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    bug: str,
) -> None:
    """Run ``function`` on each trigger, after those that wait for the model.

    Args:
        triggers: Such as ``button.click``.
        function: From the values of ``inputs`` to those of ``outputs``.
        inputs: Components.
        outputs: Components.
        bug: What to say of an error that is not the user's.
    """
    gr.on(
        triggers,
        explained(function, bug=bug),
        list(inputs),
        list(outputs),
        concurrency_limit=1,
        concurrency_id="model",
        trigger_mode="once",
        api_visibility="private",
    )


def explained(function: Callable[..., Any], *, bug: str) -> Callable[..., Any]:
    """Return ``function`` with errors as notes on the page that leave everything else as it is.

    Convention: what users and machines can cause is said as it is; other errors are ours, are logged with
    their traceback, and the page says ``bug``.
    """

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
            _log.debug("traceback of the error below", exc_info=True)
            # The note is shown as HTML.
            gr.Warning(html.escape(one_line(error), quote=False), duration=_NOTE_SECONDS)
        except Exception:
            _log.exception("a request failed")
            gr.Warning(bug, duration=_NOTE_SECONDS)
        return gr.skip()

    return run


def one_line(error: BaseException) -> str:
    r"""Return the message of an error as one line of bounded length.

    Example:
        >>> one_line(ValueError("no\n  picture"))
        'no picture'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 3]}..."
