# SPDX-License-Identifier: MIT
"""Open a classification data set from a path, whatever its layout."""

from __future__ import annotations

from pathlib import Path

from intern25.data.folders import read_folder, read_zip
from intern25.data.labelled import Splits
from intern25.data.lists import has_lists, read_lists
from intern25.data.shards import has_shards, read_shards


def read_splits(path: str | Path, *, validation_fraction: float = 0.1, seed: int = 0) -> Splits:
    """Read the training and validation images of a data set.

    Convention:
        - a folder: ``meta_data`` lists, webdataset shards, ``labels.csv``, ``train``/``val`` class folders,
          or class folders alone.
        - a ``.zip``: the same layouts as a folder except lists and shards, read in place.
        - a ``.tar`` or ``name-{000000..000009}.tar``: webdataset shards.

    Args:
        path: Folder, archive or shard pattern.
        validation_fraction: Share of each class held out where the data have no validation split.
        seed: Seed of that split.

    Returns:
        Two splits with the same classes.

    Raises:
        ValueError: Nothing usable is there; the message says what was found and what is expected.
    """
    path = Path(path)
    if has_shards(path):
        return read_shards(path, validation_fraction=validation_fraction, seed=seed)
    if path.is_dir():
        if has_lists(path):
            return read_lists(path)
        return read_folder(path, validation_fraction=validation_fraction, seed=seed)
    if path.is_file() and path.suffix.lower() == ".zip":
        return read_zip(path, validation_fraction=validation_fraction, seed=seed)
    if not path.exists():
        raise ValueError(f"the data path {path} does not exist")
    raise ValueError(f"{path} is not a folder, a .zip or .tar shards")
