# SPDX-License-Identifier: MIT
"""Webdataset shards on local disks: tars of ``key.jpg`` + ``key.cls`` pairs, read by position.

Shards are indexed once and read at random, so order, resume and process count behave as for folders.
"""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from intern25.data.folders import IMAGE_SUFFIXES, TRAIN_NAME, VALIDATION_NAMES
from intern25.data.labelled import LabelledImages, Splits, split_by_seed
from intern25.data.stores import TarMember, TarStore

Pair = tuple[str, TarMember, int]
"""Name, image and class."""


def has_shards(path: Path) -> bool:
    """Whether ``path`` is a tar, a pattern ``name-{000000..000009}.tar``, or a folder of tars."""
    if path.suffix == ".tar":
        return True
    return path.is_dir() and any(_split_shards(path, split) for split in (TRAIN_NAME, "", *VALIDATION_NAMES))


def read_shards(path: Path, *, validation_fraction: float, seed: int) -> Splits:
    """Read shards: ``train`` and ``val`` folders or name stems where they exist, else a seeded split.

    Raises:
        ValueError: A shard is missing or broken, a key lacks its image or class, or a class is no integer.
    """
    if path.suffix == ".tar":
        pairs = _read_pairs(expand_shards(path))
        return split_by_seed(_images_of(pairs, _class_count(pairs)), validation_fraction, seed)
    train, val = _split_shards(path, TRAIN_NAME), list[Path]()
    for name in VALIDATION_NAMES:
        val = val or _split_shards(path, name)
    if train and val:
        train_pairs, val_pairs = _read_pairs(train), _read_pairs(val)
        count = _class_count(train_pairs)
        return Splits(_images_of(train_pairs, count), _images_of(val_pairs, count))
    if train or val:
        raise ValueError(f"{path} has shards of one split only; both train and val are needed")
    pairs = _read_pairs(sorted(path.glob("*.tar")))
    return split_by_seed(_images_of(pairs, _class_count(pairs)), validation_fraction, seed)


def _split_shards(root: Path, split: str) -> list[Path]:
    if not split:
        return sorted(root.glob("*.tar"))
    return sorted(root.glob(f"{split}/*.tar")) or sorted(root.glob(f"{split}[-_]*.tar"))


def expand_shards(pattern: Path) -> list[Path]:
    """Expand the braces of a shard pattern ``name-{000000..000009}.tar``.

    Raises:
        ValueError: A shard is missing.
        ImportError: The package ``webdataset`` is not there.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise ImportError("shards need the training extra: pip install 'intern25[train]'") from error
    paths = [Path(url) for url in expand_urls(str(pattern))]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ValueError(f"{len(missing)} of {len(paths)} shards are missing; the first is {missing[0]}")
    return paths


def _read_pairs(paths: list[Path]) -> list[Pair]:
    """Index the shards: name, image member and class of every pair."""
    pairs: list[Pair] = []
    for path in paths:
        images: dict[str, tuple[str, TarMember]] = {}
        labels: dict[str, int] = {}
        for info, payload in _members(path):
            pure = PurePosixPath(info.name)
            key = str(pure.with_suffix(""))
            if pure.suffix.lower() in IMAGE_SUFFIXES:
                images[key] = (f"{path.name}/{info.name}", TarMember(path, info.offset_data, info.size))
            elif pure.suffix == ".cls":
                labels[key] = _parse_label(path, info.name, payload)
        unpaired = sorted(set(images) ^ set(labels))
        if unpaired:
            raise ValueError(f"{path}: {len(unpaired)} keys lack their image or .cls, such as {unpaired[0]}")
        pairs.extend((*images[key], labels[key]) for key in images)
    if not pairs:
        raise ValueError(f"no image and .cls pairs in {', '.join(str(path) for path in paths[:3])}")
    return pairs


def _members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Files of a tar, with the content of its .cls members."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = []
            for info in archive:
                if info.isfile():
                    file = archive.extractfile(info) if info.name.endswith(".cls") else None
                    members.append((info, file.read() if file else b""))
            return members
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a readable uncompressed tar: {error}") from error


def _parse_label(path: Path, name: str, payload: bytes) -> int:
    text = payload.decode("utf-8", "replace").strip()
    if not text.isdigit():
        raise ValueError(f"{path}: {name} must hold a class index, holds {text[:40]!r}")
    return int(text)


def _class_count(pairs: list[Pair]) -> int:
    return max(label for _, _, label in pairs) + 1


def _images_of(pairs: list[Pair], count: int) -> LabelledImages:
    names = tuple(name for name, _, _ in pairs)
    store = TarStore({name: member for name, member, _ in pairs})
    classes = tuple(str(label) for label in range(count))
    return LabelledImages(names, tuple(label for _, _, label in pairs), classes, store)
