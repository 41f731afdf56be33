# SPDX-License-Identifier: MIT
"""Files that appear whole or not at all: what remains after a failure, and what its message names."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from intern25.data.writing import write_whole


def fill_the_disk(path: Path) -> None:
    path.write_text("half", encoding="utf-8")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_failure_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match=r"No space left on device: '.*result\.json'"):
        write_whole(path, fill_the_disk)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_without_a_number_pass_through(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        raise OSError("cannot write mode F as PNG")

    with pytest.raises(OSError, match=r"^cannot write mode F as PNG$"):
        write_whole(tmp_path / "a.png", write)


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the folder .*missing does not exist"):
        write_whole(tmp_path / "missing" / "a", Path.touch)
