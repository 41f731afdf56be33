# SPDX-License-Identifier: MIT
"""The tables of an index in LanceDB, on a disk or in an object store.

What is special: every write is one commit that readers see whole or not at all, and each error of the
database becomes one that says what to do.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intern25.search.schemas import IndexFacts, facts_of, item_schema, region_schema

_ITEMS, _REGIONS = "items", "regions"
# A search that began before stays valid for so long.
_KEEP_OLD_VERSIONS = timedelta(minutes=10)
# Above this many rows looking at every one takes longer than a person notices.
_LARGE = 50_000
_PARTITIONS_LOOKED_AT = 64
_LONGEST_LIST = 1000
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")


class Tables:
    """The open tables of one index.

    Args:
        location: Folder or URL.
        items: Table with a row a picture or moment.
        regions: Table with a row a region, None for a model without.
        facts: What the index was made with.
    """

    def __init__(self, location: str, items: Any, regions: Any, facts: IndexFacts) -> None:
        self.location = location
        self.items = items
        self.regions = regions
        self.facts = facts

    @classmethod
    def open(cls, location: str) -> Tables | None:
        """Return the tables, as they are now; None where there are none.

        Raises:
            ValueError: They are damaged or of another version.
            ImportError: LanceDB is not installed.
        """
        # Connecting would make the folder.
        if not is_url(location) and not Path(location).is_dir():
            return None
        database = _connect(location)
        items = _open_table(database, _ITEMS, location)
        if items is None:
            return None
        with database_errors(location):
            facts = facts_of(items.schema.metadata)
            regions = _open_table(database, _REGIONS, location) if facts.has_regions else None
        if facts.has_regions and regions is None:
            raise _damaged(location, "its table of regions is gone")
        return cls(location, items, regions, facts)

    @classmethod
    def create(cls, location: str, facts: IndexFacts) -> Tables:
        """Make empty tables.

        Raises:
            OSError: The disk is full, the folder cannot be written into, ...
        """
        database = _connect(location)
        with database_errors(location):
            regions = None
            # The table of items comes last: with it the index is there.
            if facts.has_regions:
                regions = database.create_table(
                    _REGIONS, schema=region_schema(facts.dimension), mode="overwrite"
                )
            items = database.create_table(_ITEMS, schema=item_schema(facts), exist_ok=False)
        return cls(location, items, regions, facts)

    def read(self, columns: Sequence[str], *, of_regions: bool = False) -> Iterator[Any]:
        """Yield record batches of some columns of all rows."""
        table = self.regions if of_regions else self.items
        with database_errors(self.location):
            # Without a limit some versions give ten rows.
            query = table.search().select(list(columns)).limit(max(1, table.count_rows()))
            yield from query.to_batches()

    def rows_with(self, column: str, numbers: Iterable[int], *, of_regions: bool = False) -> Any:
        """Return the rows whose integer ``column`` is one of ``numbers``, as an Arrow table."""
        table = self.regions if of_regions else self.items
        numbers = list(numbers)
        if not numbers:
            return table.schema.empty_table()
        with database_errors(self.location):
            query = table.search().where(f"{column} IN ({_listed(numbers)})")
            return query.select(table.schema.names).limit(max(1, table.count_rows())).to_arrow()

    def add(self, rows: Any, *, to_regions: bool = False) -> None:
        """Add an Arrow table of rows in one commit."""
        with database_errors(self.location):
            (self.regions if to_regions else self.items).add(rows)

    def delete(self, column: str, numbers: Sequence[int], *, of_regions: bool = False) -> None:
        """Delete the rows whose integer ``column`` is one of ``numbers``."""
        table = self.regions if of_regions else self.items
        with database_errors(self.location):
            for start in range(0, len(numbers), _LONGEST_LIST):
                table.delete(f"{column} IN ({_listed(numbers[start : start + _LONGEST_LIST])})")

    def nearest(
        self, vector: NDArray[np.float32], limit: int, *, among_regions: bool = False, exact: bool = False
    ) -> Any:
        """Return the rows nearest to ``vector``, the best first; ``_distance`` is one minus the cosine."""
        table = self.regions if among_regions else self.items
        with database_errors(self.location):
            query = table.search(vector, vector_column_name="embedding").distance_type("cosine").limit(limit)
            if exact:
                query = query.bypass_vector_index()
            elif table.list_indices():
                query = query.nprobes(_PARTITIONS_LOOKED_AT)
            return query.to_arrow()

    def count(self, *, of_regions: bool = False) -> int:
        """Return the number of rows."""
        with database_errors(self.location):
            return int((self.regions if of_regions else self.items).count_rows())

    def tidy(self) -> None:
        """Merge small files, drop old versions, and index the vectors of large tables."""
        for table in filter(None, (self.items, self.regions)):
            with database_errors(self.location):
                if table.count_rows() >= _LARGE and not table.list_indices():
                    _index_vectors(table)
                table.optimize(cleanup_older_than=_KEEP_OLD_VERSIONS)


def is_url(location: str) -> bool:
    """Whether ``location`` is in an object store, as ``s3://bucket/folder``."""
    return "://" in location


def remove_tables(location: str) -> None:
    """Delete the tables of an index, readable or not."""
    if is_url(location):
        database = _connect(location)
        with database_errors(location):
            for name in (_ITEMS, _REGIONS):
                database.drop_table(name, ignore_missing=True)
        return
    for name in (_ITEMS, _REGIONS):
        folder = Path(location) / f"{name}.lance"
        if folder.exists():
            shutil.rmtree(folder)


@contextlib.contextmanager
def database_errors(location: str) -> Iterator[None]:
    """Turn what LanceDB raises inside into errors that say what to do.

    Raises:
        OSError: The system refused: a full disk, missing permissions, ...
        ValueError: The index is damaged, or its address cannot be reached.
    """
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        text = " ".join(str(error).split())
        number = _SYSTEM_ERROR.search(text)
        # 2: a file of the index itself is gone.
        if number and int(number[1]) != 2:
            raise OSError(int(number[1]), os.strerror(int(number[1])), location) from error
        if is_url(location):
            raise ValueError(f"the index {location} cannot be used: {text}") from error
        raise _damaged(location, text.partition(", /")[0]) from error


def _damaged(location: str, reason: str) -> ValueError:
    return ValueError(
        f"the index {location} cannot be read ({reason}); "
        "make it again: intern25 search index ALBUM --rebuild"
    )


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


def _open_table(database: Any, name: str, location: str) -> Any:
    """The table, or None when there is none."""
    try:
        return database.open_table(name)
    # LanceDB's versions differ in the kind; what is there and cannot be read raises again below.
    except (FileNotFoundError, ValueError) as error:
        if "not found" in str(error).lower():
            return None
        with database_errors(location):
            raise
    except (RuntimeError, OSError):
        with database_errors(location):
            raise


def _index_vectors(table: Any) -> None:
    """Sort the vectors into cells, of which a search looks at the nearest ones."""
    if "config" in inspect.signature(table.create_index).parameters:
        from lancedb.index import IvfFlat

        table.create_index("embedding", config=IvfFlat(distance_type="cosine"))
    else:
        table.create_index(metric="cosine", vector_column_name="embedding", index_type="IVF_FLAT")


def _connect(location: str) -> Any:
    lancedb = _lancedb()
    with database_errors(location):
        return lancedb.connect(location)


def _lancedb() -> ModuleType:
    # Its notes on empty cells and new tables are not for users; read when it is loaded.
    os.environ.setdefault("LANCEDB_LOG", "error")
    try:
        import lancedb
    except ImportError as error:
        raise ImportError("searching albums needs LanceDB: pip install 'intern25[search]'") from error
    return lancedb
