# SPDX-License-Identifier: MIT
"""One indexer at a time: a lock file that says who holds it.

What is special: the file needs no lock service, so it works on network drives; its change time is the
holder's heartbeat, and the lock of a process that is gone is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

_SILENT_SECONDS = 900.0
# Between its making and its first words a lock is empty, for no longer than this.
_EMPTY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Holder:
    pid: int
    host: str
    token: str
    """Differs between two runs that have one pid after the other."""


class IndexLock:
    """Holds the lock file while a ``with`` block runs.

    Args:
        path: The lock file; its folder exists.

    Raises:
        ValueError: On entering: another process holds it.
        OSError: On entering: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = _Holder(os.getpid(), socket.gethostname(), uuid.uuid4().hex)

    def __enter__(self) -> IndexLock:
        for _ in range(3):
            if self._created():
                return self
            holder = _read(self.path)
            if not _is_stale(self.path, holder):
                break
            self._set_aside(holder)
        raise ValueError(self._held_by(_read(self.path)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _read(self.path) == self._own:
            self.path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Tell others that this process is at work.

        Raises:
            RuntimeError: The lock was taken away: two indexers would write the same rows.
        """
        if _read(self.path) != self._own:
            raise RuntimeError(f"the lock {self.path} was removed or taken over; run the command again")
        os.utime(self.path)

    def _created(self) -> bool:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(self._own), file)
        return True

    def _set_aside(self, stale: _Holder | None) -> None:
        """Move the stale lock away; one that another process has put there meanwhile is put back."""
        aside = self.path.with_name(f"{self.path.name}.{self._own.token}")
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        if _read(aside) != stale:
            with contextlib.suppress(OSError):
                aside.rename(self.path)
            return
        aside.unlink(missing_ok=True)

    def _held_by(self, holder: _Holder | None) -> str:
        who = "another process" if holder is None else f"process {holder.pid} on {holder.host}"
        return (
            f"{who} is indexing into {self.path.parent}; wait for it, or delete {self.path} if it has ended"
        )


def _read(path: Path) -> _Holder | None:
    """The holder; None while the file is missing or not yet written."""
    try:
        return _Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_stale(path: Path, holder: _Holder | None) -> bool:
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return True  # Just given back.
    if silent > (_SILENT_SECONDS if holder else _EMPTY_SECONDS):
        return True
    return holder is not None and holder.host == socket.gethostname() and not _is_alive(holder.pid)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # Signal 0 would end the process there; the heartbeat tells.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
