# SPDX-License-Identifier: MIT
"""One indexer at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from intern25.search.lock import IndexLock


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(path: Path, *, pid: int, host: str | None = None, age: float = 0.0) -> None:
    path.write_text(json.dumps({"pid": pid, "host": host or socket.gethostname(), "token": "theirs"}))
    os.utime(path, (time.time() - age,) * 2)


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with IndexLock(path) as lock:
        lock.beat()
        with (
            pytest.raises(ValueError, match=rf"process {os.getpid()} on .* is indexing into"),
            IndexLock(path),
        ):
            pass
        assert path.exists()
    assert not path.exists()
    with IndexLock(path):
        pass


@pytest.mark.parametrize(
    ("pid", "host", "age", "is_taken"),
    [
        ("dead", None, 0.0, True),
        ("own", None, 0.0, False),
        ("own", None, 1e4, True),  # The number went to another process.
        ("dead", "elsewhere", 0.0, False),
        ("dead", "elsewhere", 1e4, True),
    ],
)
def test_a_lock_left_behind_is_taken_over(
    tmp_path: Path, pid: str, host: str | None, age: float, is_taken: bool
) -> None:
    path = tmp_path / "lock"
    write(path, pid=dead_process() if pid == "dead" else os.getpid(), host=host, age=age)
    if is_taken:
        with IndexLock(path) as lock:
            lock.beat()
        assert list(tmp_path.iterdir()) == []
    else:
        with pytest.raises(ValueError, match=r"delete .*lock if it has ended"), IndexLock(path):
            pass
        assert json.loads(path.read_text())["token"] == "theirs"


def test_an_empty_lock_is_taken_over_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with pytest.raises(ValueError, match="another process is indexing"), IndexLock(path):
        pass
    os.utime(path, (time.time() - 60.0,) * 2)
    with IndexLock(path) as lock:
        lock.beat()


def test_who_lost_the_lock_stops_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with IndexLock(path) as lock:
        write(path, pid=1)
        with pytest.raises(RuntimeError, match="removed or taken over"):
            lock.beat()
    assert path.exists()


def test_a_beat_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with IndexLock(path) as lock:
        os.utime(path, (0.0, 0.0))
        lock.beat()
        assert time.time() - path.stat().st_mtime < 60.0
