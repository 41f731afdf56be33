# SPDX-License-Identifier: MIT
"""Walking an album."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.search.album import AlbumFile, Unreadable, file_key, item_key, walk_album


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_pictures_and_videos_are_found_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/2.png", "a/1.webp", "z.mp4", "it's 红.gif", "notes.txt", ".hidden.jpg", "jpg"):
        touch(tmp_path / name, b"abc")
    touch(tmp_path / ".intern25" / "data.png")
    touch(tmp_path / "a" / ".thumbnails" / "1.png")
    files = [file for file in walk_album(tmp_path) if isinstance(file, AlbumFile)]
    assert sorted(file.path for file in files) == ["a/1.webp", "a/2.png", "b.JPG", "it's 红.gif", "z.mp4"]
    assert {file.kind for file in files if file.path == "z.mp4"} == {"video"}
    assert all(file.size == 3 and file.mtime == (tmp_path / file.path).stat().st_mtime_ns for file in files)


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link.png").symlink_to(tmp_path / "a" / "1.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    found = list(walk_album(tmp_path))
    assert [file.path for file in found if isinstance(file, AlbumFile)] == ["link.png", "a/1.png"]
    assert [file.path for file in found if isinstance(file, Unreadable)] == ["broken.png"]


def test_a_name_that_is_no_text_and_a_folder_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "good.png")
    touch(tmp_path / "locked" / "1.png")
    try:
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")))
    except OSError:
        pytest.skip("this file system allows text only")
    scan = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    reasons = {file.path: file.reason for file in walk_album(tmp_path) if isinstance(file, Unreadable)}
    assert reasons["\\udcff.png"].endswith("its name is no UTF-8 text; rename it")
    assert reasons["locked"] == f"{tmp_path / 'locked'} cannot be listed: Permission denied"


files = st.builds(
    AlbumFile, st.text(min_size=1), st.just("image"), st.integers(0, 2**40), st.integers(0, 2**62)
)


@given(files, files, st.none() | st.floats(0.1, 9.0), st.none() | st.floats(0.1, 9.0))
def test_keys_differ_where_files_do(
    first: AlbumFile, second: AlbumFile, every: float | None, other: float | None
) -> None:
    assert (file_key(first, every) == file_key(second, other)) == ((first, every) == (second, other))
    assert -(2**63) <= file_key(first, every) < 2**63
    assert item_key("a", every, 1) != item_key("a", every, 2)
