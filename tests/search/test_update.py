# SPDX-License-Identifier: MIT
"""An index follows its album, whatever happens to either."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.search import rows as rows_module
from intern25.search.embedder import Pixels, Vectors
from intern25.search.index import SearchIndex
from intern25.search.tables import Tables
from tests.search.albums import rows_of, save_color, save_video
from tests.search.color_embedder import COLORS, ColorEmbedder, HalvesEmbedder

ROOT = Path(__file__).resolve().parents[2]


def fresh_rows(album: Path) -> object:
    """The rows of an index that knows nothing of the past."""
    with tempfile.TemporaryDirectory() as folder:
        index = SearchIndex.open(folder)
        index.update(ColorEmbedder(), album)
        return rows_of(index)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three pictures and a video."""
    save_color(tmp_path / "album" / "a.png", "红")
    save_color(tmp_path / "album" / "b.png", "green")
    save_color(tmp_path / "album" / "in" / "it's 蓝.png", "blue")
    save_video(tmp_path / "album" / "v.mp4", ["红", "blue"])
    return tmp_path / "album"


@pytest.fixture
def index(album: Path) -> SearchIndex:
    index = SearchIndex.open(album / ".intern25")
    index.update(ColorEmbedder(), album)
    return index


def counts(index: SearchIndex, album: Path, embedder: ColorEmbedder | None = None) -> dict[str, int]:
    """What an update counts that is not zero."""
    report = index.update(embedder or ColorEmbedder(), album)
    names = ("added", "changed", "moved", "removed", "unchanged")
    found = {name: getattr(report, name) for name in names}
    return {name: count for name, count in found.items() if count}


def test_the_first_update_adds_everything(album: Path) -> None:
    index = SearchIndex.open(album / ".intern25")
    assert index.facts is None
    assert counts(index, album) == {"added": 4}
    assert [row[:5] for row in rows_of(index)] == [
        ("a.png", "image", None, 8, 6),
        ("b.png", "image", None, 8, 6),
        ("in/it's 蓝.png", "image", None, 8, 6),
        *(("v.mp4", "video", float(second), 64, 48) for second in range(4)),
    ]


def test_nothing_is_embedded_twice(index: SearchIndex, album: Path) -> None:
    embedder = ColorEmbedder()
    assert counts(index, album, embedder) == {"unchanged": 4}
    os.utime(album / "a.png", (1.0, 1.0))
    os.utime(album / "v.mp4", (1.0, 1.0))
    assert counts(index, album, embedder) == {"unchanged": 4}
    (album / "in").rename(album / "out")
    (album / "v.mp4").rename(album / "out" / "w.mp4")
    assert counts(index, album, embedder) == {"moved": 2, "unchanged": 2}
    shutil.copy(album / "a.png", album / "copy.png")
    assert counts(index, album, embedder) == {"added": 1, "unchanged": 4}
    assert embedder.seen == 0
    assert rows_of(index) == fresh_rows(album)


def test_what_has_gone_and_what_has_changed(index: SearchIndex, album: Path) -> None:
    embedder = ColorEmbedder()
    (album / "b.png").unlink()
    save_color(album / "a.png", "yellow")
    assert counts(index, album, embedder) == {"changed": 1, "removed": 1, "unchanged": 2}
    assert embedder.seen == 1
    assert rows_of(index) == fresh_rows(album)


def test_two_files_that_swap_their_names(index: SearchIndex, album: Path) -> None:
    save_color(album / "a.png", "green")
    save_color(album / "b.png", "红")
    embedder = ColorEmbedder()
    assert counts(index, album, embedder) == {"changed": 2, "unchanged": 2}
    assert embedder.seen == 0
    assert rows_of(index) == fresh_rows(album)


def test_another_step_looks_at_the_videos_again(index: SearchIndex, album: Path) -> None:
    embedder = ColorEmbedder()
    report = index.update(embedder, album, every=0.5)
    assert (report.changed, report.unchanged, embedder.seen) == (1, 3, 8)
    # Without a word the step stays.
    assert counts(index, album, embedder) == {"unchanged": 4}
    save_video(album / "w.mp4", ["green"])
    assert counts(index, album, embedder) == {"added": 1, "unchanged": 4}
    times = [row[2] for row in rows_of(index) if row[0] == "w.mp4"]
    assert times == [0.0, 0.5, 1.0, 1.5]


def test_damaged_files_are_listed_and_looked_at_again(index: SearchIndex, album: Path) -> None:
    whole = (album / "v.mp4").read_bytes()
    (album / "v.mp4").write_bytes(whole[: len(whole) // 2])
    (album / "bad.jpg").write_text("no picture")
    for _ in range(2):
        report = index.update(ColorEmbedder(), album)
        assert sorted(file.path for file in report.unreadable) == ["bad.jpg", "v.mp4"]
        assert (report.total, report.unchanged) == (5, 3)
    assert {row[0] for row in rows_of(index)} == {"a.png", "b.png", "in/it's 蓝.png"}
    (album / "v.mp4").write_bytes(whole)
    save_color(album / "bad.jpg", "yellow")
    assert counts(index, album) == {"added": 2, "unchanged": 3}


def test_a_video_damaged_in_the_middle_keeps_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intern25.data.video import VideoReadError
    from intern25.search import update

    album = save_video(tmp_path / "album" / "v.mp4", ["红", "blue"]).parent
    moments = update.video_moments

    def cut(path: Path, every: float) -> object:
        for number, shown in enumerate(moments(path, every)):
            if number == 3:
                raise VideoReadError(f"{path} is damaged after frame 12")
            yield shown

    monkeypatch.setattr(update, "video_moments", cut)
    index = SearchIndex.open(tmp_path / "index")
    report = index.update(ColorEmbedder(), album, batch_size=2)
    assert [file.path for file in report.unreadable] == ["v.mp4"]
    assert [row[2] for row in rows_of(index)] == [0.0, 1.0, 2.0]


def test_a_folder_that_cannot_be_listed_keeps_its_rows(
    index: SearchIndex, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, scan = rows_of(index), os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "in":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = index.update(ColorEmbedder(), album)
    assert [file.path for file in report.unreadable] == ["in"]
    assert (report.removed, rows_of(index)) == (0, before)


def test_an_empty_album_leaves_the_index(index: SearchIndex, album: Path) -> None:
    before = rows_of(index)
    for path in [*album.rglob("*.png"), album / "v.mp4"]:
        if ".intern25" not in path.parts:
            path.unlink()
    with pytest.raises(ValueError, match="no pictures or videos in the album"):
        index.update(ColorEmbedder(), album)
    assert rows_of(index) == before


steps = st.lists(
    st.tuples(
        st.sampled_from(["save", "delete", "rename", "copy", "touch", "update"]),
        st.integers(0, 4),
        st.integers(0, 4),
        st.sampled_from(list(COLORS)),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None)
@given(steps)
def test_any_history_ends_at_the_index_of_its_end(history: list[tuple[str, int, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        album = Path(folder) / "album"
        index = SearchIndex.open(Path(folder) / "index")
        save_color(album / "always.png", "black", (3, 3))
        for action, first, second, color in history:
            path, other = album / f"{first}.png", album / f"folder {second % 2}" / f"{second}.png"
            other.parent.mkdir(exist_ok=True)
            if action == "save":
                save_color(path, color, (4 + second, 4))
            elif action == "update":
                index.update(ColorEmbedder(), album)
            elif not path.exists():
                continue
            elif action == "delete":
                path.unlink()
            elif action == "touch":
                os.utime(path, (second, second))
            else:
                (shutil.copy if action == "copy" else shutil.move)(path, other)
        index.update(ColorEmbedder(), album)
        assert rows_of(index) == fresh_rows(album)


class StoppedEmbedder(ColorEmbedder):
    """Is interrupted when it has seen so many pictures."""

    def __init__(self, stop: int) -> None:
        super().__init__()
        self.stop = stop

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        if self.seen + len(images) > self.stop:
            raise KeyboardInterrupt
        return super().embed_images(images)


def save_distinct(album: Path, count: int) -> None:
    """Tiny pictures of ``count`` contents."""
    rng = np.random.default_rng(0)
    for number, pixels in enumerate(rng.integers(0, 256, (count, 12), dtype=np.uint8)):
        path = album / f"{number // 1000:03}" / f"{number:06}.ppm"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"P6 2 2 255\n" + pixels.tobytes())


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "ROWS_AT_ONCE", 32)
    album, index = tmp_path / "album", SearchIndex.open(tmp_path / "index")
    save_distinct(album, 100)
    with pytest.raises(KeyboardInterrupt):
        index.update(StoppedEmbedder(80), album)
    assert len(index) == 64
    embedder = ColorEmbedder()
    assert counts(index, album, embedder) == {"added": 36, "unchanged": 64}
    assert embedder.seen == 36
    assert rows_of(index) == fresh_rows(album)


def test_rows_of_the_past_and_regions_without_items_are_swept(tmp_path: Path) -> None:
    """A run that was killed between new rows and the deletion of old ones."""
    album, index = tmp_path / "album", SearchIndex.open(tmp_path / "index")
    save_distinct(album, 4)
    index.update(HalvesEmbedder(), album)
    tables = Tables.open(index.location)
    assert tables is not None
    old_items, old_regions = tables.items.to_arrow(), tables.regions.to_arrow()
    path = save_color(album / "000" / "000001.ppm", "红")
    (album / "000" / "000002.ppm").unlink()
    index.update(HalvesEmbedder(), album)
    tables = Tables.open(index.location)
    assert tables is not None
    is_past = [path in ("000/000001.ppm", "000/000002.ppm") for path in old_items["path"].to_pylist()]
    tables.add(old_items.filter(is_past))
    tables.add(old_regions, to_regions=True)
    index.update(HalvesEmbedder(), album)
    assert rows_of(index) == fresh_rows(album)
    tables = Tables.open(index.location)
    assert tables is not None
    items, regions = tables.items.to_arrow()["id"].to_pylist(), tables.regions.to_arrow()["id"].to_pylist()
    assert path.exists()
    assert set(regions) == set(items)


class AskingEmbedder(ColorEmbedder):
    """Searches while it is asked to embed."""

    def __init__(self, index: SearchIndex) -> None:
        super().__init__()
        self.index = index
        self.found: list[int] = []

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        if self.index.facts is not None and self.seen:
            asking = SearchIndex.open(self.index.location, embedder=ColorEmbedder())
            self.found.append(len(asking.query("红", top=1000)))
        return super().embed_images(images)


def test_searching_while_indexing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "ROWS_AT_ONCE", 16)
    album, index = tmp_path / "album", SearchIndex.open(tmp_path / "index")
    save_distinct(album, 80)
    embedder = AskingEmbedder(index)
    index.update(embedder, album)
    assert embedder.found == [16, 32, 48, 64]


def test_only_one_indexes(tmp_path: Path) -> None:
    album, index = tmp_path / "album", SearchIndex.open(tmp_path / "index")
    save_distinct(album, 3)

    class Second(ColorEmbedder):
        def embed_images(self, images: Sequence[Pixels]) -> Vectors:
            with pytest.raises(ValueError, match="is indexing into"):
                SearchIndex.open(index.location).update(ColorEmbedder(), album)
            return super().embed_images(images)

    index.update(Second(), album)
    assert len(index) == 3


def test_a_full_disk_leaves_a_valid_index(
    index: SearchIndex, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(index)
    save_color(album / "new.png", "yellow")

    def add(self: object, rows: object, **options: object) -> None:
        # The words of LanceDB on a full disk.
        raise RuntimeError(
            "lance error: LanceError(IO): No space left on device (os error 28), /a/b.rs:258:9"
        )

    with monkeypatch.context() as patch:
        patch.setattr("lancedb.table.LanceTable.add", add)
        with pytest.raises(OSError, match=r"\.intern25") as caught:
            index.update(ColorEmbedder(), album)
    assert caught.value.errno == errno.ENOSPC
    assert rows_of(index) == before
    assert counts(index, album) == {"added": 1, "unchanged": 4}


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_a_valid_index(tmp_path: Path) -> None:
    album, index = tmp_path / "album", SearchIndex.open(tmp_path / "index")
    save_distinct(album, 300)
    code = (
        "import time\nfrom tests.search.color_embedder import ColorEmbedder\n"
        "from intern25.search import rows\nfrom intern25.search.index import SearchIndex\n"
        "rows.ROWS_AT_ONCE = 16\n"
        "class Slow(ColorEmbedder):\n"
        "    def embed_images(self, images):\n"
        "        time.sleep(0.05)\n        return super().embed_images(images)\n"
        f"SearchIndex.open({index.location!r}).update(Slow(), {str(album)!r})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.monotonic() + 60.0
    while len(index) < 50 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(index)
    assert 50 <= kept < 300
    assert (Path(index.location) / "lock").exists()
    assert counts(index, album) == {"added": 300 - kept, "unchanged": kept}
    assert rows_of(index) == fresh_rows(album)


def peak_growth(folder: Path, count: int) -> float:
    """MiB that a process grows by while it indexes ``count`` pictures, in its own memory."""
    save_distinct(folder / "album", count)
    save_distinct(folder / "warm", 300)
    code = (
        "import resource, sys\nfrom tests.search.color_embedder import ColorEmbedder\n"
        "from intern25.search.index import SearchIndex\n"
        f"warm = SearchIndex.open({str(folder / 'warm_index')!r})\n"
        f"warm.update(ColorEmbedder(), {str(folder / 'warm')!r})\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"index = SearchIndex.open({str(folder / 'index')!r})\n"
        f"index.update(ColorEmbedder(), {str(folder / 'album')!r})\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"assert len(index) == {count}, len(index)\n"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10\n"
        "print((after - before) / unit)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=1800,
    )
    return float(done.stdout)


@pytest.mark.skipif(os.name != "posix", reason="needs the resource module")
def test_two_thousand_pictures_take_little_memory(tmp_path: Path) -> None:
    assert peak_growth(tmp_path, 2_000) < 150.0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs the resource module")
def test_a_hundred_thousand_pictures_take_little_memory(tmp_path: Path) -> None:
    assert peak_growth(tmp_path, 100_000) < 400.0
