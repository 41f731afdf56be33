# SPDX-License-Identifier: MIT
"""Labelled crops, such as traffic signs and lights, with the names of their classes in two languages."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from intern25.data.class_names import ClassNames
from intern25.data.known_classes import named_classes
from intern25.data.labelled import Splits
from intern25.data.sources import read_splits
from intern25.data.trees import FileTree, open_tree


@dataclass(frozen=True, slots=True)
class NamedSplits:
    """Training and validation pictures of the same classes, and what the classes are called."""

    splits: Splits
    """The pictures."""
    names: ClassNames
    """Names of the classes, by label."""


def read_named_splits(path: str | Path, *, validation_fraction: float = 0.1, seed: int = 0) -> NamedSplits:
    """Read labelled pictures, and the names of their classes.

    The names are those of the class list that the package knows under the data set's own names; else those
    of ``classes.tsv`` with the columns ``code, en, zh``, or of ``classes.txt`` with lines ``id,name``, beside
    the pictures; else the class names themselves.

    Args:
        path: Folder or archive as :func:`intern25.data.sources.read_splits` takes it.
        validation_fraction: Share of each class held out where the data have no validation split.
        seed: Seed of that split.

    Raises:
        ValueError: Nothing usable is there, or a class has no name in the table of names.
    """
    splits = read_splits(path, validation_fraction=validation_fraction, seed=seed)
    classes = splits.train.classes
    known = named_classes(classes)
    if known.en != classes or known.zh != classes or not _is_tree(Path(path)):
        return NamedSplits(splits, known)
    return NamedSplits(splits, _stated_names(open_tree(path), classes) or known)


def _is_tree(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".zip"


def _stated_names(tree: FileTree, classes: tuple[str, ...]) -> ClassNames | None:
    """Names that a file of the data set states; ``None`` where there is no such file."""
    for name in sorted(tree.names, key=lambda name: name.count("/")):
        base = PurePosixPath(name).name.lower()
        if base == "classes.tsv":
            rows = [line.split("\t") for line in tree.text(name).splitlines() if line.strip()]
        elif base == "classes.txt":
            rows = list(csv.reader(io.StringIO(tree.text(name))))
        else:
            continue
        stated = {row[0].strip(): [part.strip() for part in row[1:]] for row in rows if len(row) >= 2}
        if stated:
            return _names_of(f"{tree.where}/{name}", stated, classes)
    return None


def _names_of(where: str, stated: dict[str, list[str]], classes: tuple[str, ...]) -> ClassNames:
    lacking = [name for name in classes if name not in stated]
    if lacking:
        raise ValueError(f"{where} has no name for {len(lacking)} classes, such as {lacking[0]}; add a line")
    english = [stated[name][0] for name in classes]
    if all(len(stated[name]) >= 2 for name in classes):
        return ClassNames.from_lists(english, [stated[name][1] for name in classes])
    return named_classes(english)
