# SPDX-License-Identifier: MIT
"""The log of a run: one JSON object a line, and TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intern25.weights.files import write_whole


class RunLog:
    """Appends to ``log.jsonl``; lines behind the resumed update are dropped, as they happen again.

    Args:
        folder: Output folder of the run.
        update: Update at which the run starts or resumes.
        tensorboard: Also write TensorBoard events to ``folder/tensorboard``.
    """

    def __init__(self, folder: Path, update: int, *, tensorboard: bool) -> None:
        self.path = folder / "log.jsonl"
        self._keep_until(update)
        self._writer: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "TensorBoard events need the training extra: pip install 'intern25[train]'; "
                    "or set tensorboard off"
                ) from error
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=update)

    def _keep_until(self, update: int) -> None:
        if not self.path.exists():
            return
        lines = [
            line for line in self.path.read_text(encoding="utf-8").splitlines() if _update_of(line) <= update
        ]
        write_whole(self.path, lambda path: _write_lines(path, lines))

    def write(self, kind: str, update: int, values: Mapping[str, Any]) -> None:
        """Append one line, and its numbers to TensorBoard."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "update": update, **values}, ensure_ascii=False) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{kind}/{name}", value, update)

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._writer is not None:
            self._writer.close()


def _update_of(line: str) -> float:
    try:
        return float(json.loads(line)["update"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")  # a line cut short by a kill


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
