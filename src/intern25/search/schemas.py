# SPDX-License-Identifier: MIT
"""The columns of an index, and the facts of its making that its table carries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Format of the tables; another number cannot be read."""

_METADATA_KEY = b"intern25.search"


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What an index was made with; written into its table."""

    model: str
    """Name or path that opens the model."""
    fingerprint: str
    """Of the model's weights."""
    dimension: int
    """Length of an embedding."""
    has_regions: bool
    """Whether parts of pictures are in the index."""
    version: int = VERSION


def facts_of(metadata: dict[bytes, bytes] | None) -> IndexFacts:
    """Read the facts that :func:`item_schema` wrote into its metadata.

    Raises:
        ValueError: There are none, or they are of another version.
    """
    if not metadata or _METADATA_KEY not in metadata:
        raise ValueError("its table does not say what made it")
    stored = json.loads(metadata[_METADATA_KEY])
    if stored.get("version") != VERSION:
        raise ValueError(f"its format is {stored.get('version')}, this version of intern25 reads {VERSION}")
    return IndexFacts(**stored)


def item_schema(facts: IndexFacts) -> Any:
    """Return the Arrow schema of the table of items."""
    import pyarrow as pa

    fields = [
        pa.field("id", pa.int64(), nullable=False),  # Of the content and the moment: copies share it.
        pa.field("file", pa.int64(), nullable=False),  # Of path, size, change time and video step.
        pa.field("content", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("time", pa.float64()),
        pa.field("every", pa.float64()),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime", pa.int64(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32(), facts.dimension), nullable=False),
    ]
    return pa.schema(fields, metadata={_METADATA_KEY: json.dumps(asdict(facts)).encode()})


def region_schema(dimension: int) -> Any:
    """Return the Arrow schema of the table of regions."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),  # That of the item.
            pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def vector_column(vectors: NDArray[np.float32]) -> Any:
    """Return ``(N, D)`` as an Arrow column of fixed-size lists."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def vectors_of(column: Any) -> NDArray[np.float32]:
    """Return an Arrow column of fixed-size lists as ``(N, D)``."""
    column = column.combine_chunks()
    width = column.type.list_size
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(-1, width)
