# SPDX-License-Identifier: MIT
"""What a run tells its user while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol, TextIO


class Reporter(Protocol):
    """Receives the messages and the progress of a run, on the first process only."""

    def message(self, text: str) -> None:
        """Show one line."""
        ...

    def progress(self, update: int, num_updates: int, values: Mapping[str, Any]) -> None:
        """Show how far the run is; called after every update."""
        ...

    def close(self) -> None:
        """Finish the display."""
        ...


class Silent:
    """Shows nothing."""

    def message(self, text: str) -> None:
        """Ignore ``text``."""

    def progress(self, update: int, num_updates: int, values: Mapping[str, Any]) -> None:
        """Ignore the progress."""

    def close(self) -> None:
        """Do nothing."""


class LineReporter:
    """Plain lines, for logs and pipes: one whenever new values come."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def message(self, text: str) -> None:
        """Write ``text``."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def progress(self, update: int, num_updates: int, values: Mapping[str, Any]) -> None:
        """Write the values, where there are any."""
        if values:
            self.message(f"update {update}/{num_updates}  {format_values(values)}")

    def close(self) -> None:
        """Do nothing."""


class RichReporter:
    """A progress bar with the time left, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[values]}"), console=Console(stderr=True))
        self._task = self._progress.add_task("train", total=None, values="")
        self._progress.start()

    def message(self, text: str) -> None:
        """Print ``text`` above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)

    def progress(self, update: int, num_updates: int, values: Mapping[str, Any]) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=update, total=num_updates)
        if values:
            self._progress.update(self._task, values=format_values(values))

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def console_reporter() -> Reporter:
    """Return a bar on a terminal, plain lines elsewhere."""
    return RichReporter() if sys.stderr.isatty() else LineReporter()


def format_values(values: Mapping[str, Any]) -> str:
    """Write values as ``name value``, floats with four digits."""
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
