# SPDX-License-Identifier: MIT
"""Bring an index up to its album: only what is new or has changed is looked at.

What is special: every commit leaves a valid index. New rows come before old ones go, so that a run that is
killed loses at most its last batch, and the next run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from intern25.data.video import VideoReadError
from intern25.search.album import AlbumFile, Unreadable, file_key, walk_album
from intern25.search.embedder import Embedder
from intern25.search.lock import IndexLock
from intern25.search.plan import Content, IndexedFiles, Plan, plan_of
from intern25.search.reading import FileRead, Shown, read_ahead, video_moments
from intern25.search.rows import ROWS_AT_ONCE, RowWriter, copied_rows
from intern25.search.tables import Tables

Progress = Callable[[Iterator[FileRead], int], Iterator[FileRead]]
"""Wraps the files that are looked at, and their number, to show how far the work is."""


@dataclass(slots=True)
class UpdateReport:
    """What an update found."""

    total: int = 0
    """Pictures and videos in the album."""
    added: int = 0
    """New files."""
    changed: int = 0
    """Files with another content than before."""
    moved: int = 0
    """Files with another path and the content of one that is gone; they are not embedded again."""
    removed: int = 0
    """Files that are gone."""
    unchanged: int = 0
    """Files with the content they had."""
    unreadable: list[Unreadable] = field(default_factory=list)
    """Files that are damaged, and folders that cannot be listed."""


class Update:
    """One run over an album.

    Args:
        tables: The index.
        embedder: The model it was made with.
        album: Folder of the files.
        lock: The held lock.
        every: Seconds between the moments of a video; None for those of the videos that are there.
        batch_size: Pictures that go through the model at once.
    """

    def __init__(
        self,
        tables: Tables,
        embedder: Embedder,
        album: Path,
        *,
        lock: IndexLock,
        every: float | None,
        batch_size: int,
    ) -> None:
        self.tables = tables
        self.album = album
        self.lock = lock
        self.batch_size = batch_size
        self.report = UpdateReport()
        self._indexed = IndexedFiles.of(tables)
        self.every = self._indexed.usual_every() if every is None else every
        self._writer = RowWriter(tables, embedder)
        self._copies: list[tuple[AlbumFile, int]] = []
        self._gone: dict[Content, list[str]] = {}

    def run(self, progress: Progress) -> UpdateReport:
        """Do the work.

        Raises:
            ValueError: The album holds no pictures or videos; the index stays as it was.
            OSError: The disk is full, ...; what was written is valid.
            RuntimeError: Another process took the lock.
        """
        plan = plan_of(walk_album(self.album), self._indexed, self.every)
        if not plan.total:
            reasons = "".join(f"\n  {file.reason}" for file in plan.unlisted[:10])
            raise ValueError(f"no pictures or videos in the album {self.album}{reasons}")
        self._begin_report(plan)
        files = read_ahead(self.album, plan.fresh, self._is_known, depth=2 * self.batch_size)
        pictures: list[FileRead] = []
        for file in progress(files, len(plan.fresh)):
            if file.shown is None:
                self._add_other(file)
                continue
            pictures.append(file)
            if len(pictures) >= self.batch_size:
                self._add_pictures(pictures)
                pictures = []
        self._add_pictures(pictures)
        self._flush()
        self._flush_copies()
        self._delete(plan.stale)
        if plan.fresh or plan.stale:
            self.lock.beat()
            self.tables.tidy()
        return self.report

    def _begin_report(self, plan: Plan) -> None:
        self._gone = plan.gone
        self.report.total = plan.total
        self.report.unchanged = plan.unchanged
        self.report.unreadable.extend(plan.unlisted)
        self.report.removed = sum(map(len, plan.gone.values()))

    def _add_other(self, file: FileRead) -> None:
        """Add what is no new picture: a copy, a video, or nothing but a line of the report."""
        if file.reason is not None:
            self.report.unreadable.append(Unreadable(file.file.path, file.reason))
        elif not file.is_known:
            self._add_video(file)
        else:
            content = self._content(file.file, file.content)
            self._count(file.file, content)
            self._copies.append((file.file, self._indexed.key_of[content]))
            # The rows of a video are many.
            if len(self._copies) >= ROWS_AT_ONCE or file.file.kind == "video":
                self._flush_copies()

    def _add_pictures(self, pictures: list[FileRead]) -> None:
        self._writer.add_pictures(pictures)
        for picture in pictures:
            self._count(picture.file, self._content(picture.file, picture.content))
        self.lock.beat()
        if self._writer.is_full:
            self._flush()

    def _add_video(self, video: FileRead) -> None:
        """Add the moments of a video; where it is damaged they end."""
        count = 0
        batch: list[Shown] = []
        try:
            for shown in video_moments(self.album / video.file.path, self.every):
                batch.append(shown)
                if len(batch) >= self.batch_size:
                    count = self._add_moments(video, batch, count)
                    batch = []
        except VideoReadError as error:
            self.report.unreadable.append(Unreadable(video.file.path, str(error)))
        count = self._add_moments(video, batch, count)
        if count:
            self._count(video.file, self._content(video.file, video.content))
        if self._writer.is_full:
            self._flush()

    def _add_moments(self, video: FileRead, moments: list[Shown], count: int) -> int:
        self._writer.add_moments(video, moments, first=count, every=self.every)
        self.lock.beat()
        return count + len(moments)

    def _content(self, file: AlbumFile, content: str) -> Content:
        return content, self.every if file.kind == "video" else None

    def _is_known(self, file: AlbumFile, content: str) -> bool:
        return self._content(file, content) in self._indexed.key_of

    def _count(self, file: AlbumFile, content: Content) -> None:
        """Count a file as what it is; a path that is gone is moved once."""
        before = self._indexed.contents_of.get(file.path)
        gone = self._gone.get(content)
        if before is not None:
            if content in before:
                self.report.unchanged += 1
            else:
                self.report.changed += 1
        elif gone:
            gone.pop()
            self.report.moved += 1
            self.report.removed -= 1
        else:
            self.report.added += 1

    def _flush(self) -> None:
        """Write what is waiting; from now on it is known."""
        for item in self._writer.flush():
            self._indexed.key_of.setdefault((item.content, item.every), file_key(item.file, item.every))
        self.lock.beat()

    def _flush_copies(self) -> None:
        """Give the rows of known contents to their new files."""
        if self._copies:
            self.tables.add(copied_rows(self.tables, self._copies))
            self._copies = []
            self.lock.beat()

    def _delete(self, stale: list[int]) -> None:
        """Delete the rows of what is gone, and the regions that no item has."""
        self.tables.delete("file", stale)
        if self.tables.regions is None or not stale:
            return
        items, regions = (
            np.unique(np.concatenate([np.zeros(0, np.int64), *ids]))
            for ids in (self._ids(of_regions=False), self._ids(of_regions=True))
        )
        self.tables.delete("id", np.setdiff1d(regions, items).tolist(), of_regions=True)

    def _ids(self, *, of_regions: bool) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        batches = self.tables.read(("id",), of_regions=of_regions)
        return [batch.column("id").to_numpy() for batch in batches]
