# SPDX-License-Identifier: MIT
"""Webdataset shards of pictures with text: tars of ``key.jpg`` with ``key.txt`` or ``key.json``.

Shards are indexed once and read at random by position, like those of classification data.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from intern25.data.folders import IMAGE_SUFFIXES
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Language, Sentence
from intern25.data.multimodal.rows import DefectRows, annotated, language_of, one_of, shown
from intern25.data.shards import expand_shards
from intern25.data.stores import TarMember, TarStore
from intern25.data.trees import SplitMissingError, split_of


@dataclass(slots=True)
class _Sample:
    """Members of one key."""

    image: tuple[str, TarMember] | None = None
    text: str | None = None
    fields: dict[str, Any] | None = None


def has_caption_shards(path: Path) -> bool:
    """Whether ``path`` is a tar, a pattern ``name-{000000..000009}.tar``, or a folder of tars."""
    return path.suffix == ".tar" or (path.is_dir() and any(True for _ in path.rglob("*.tar")))


def read_caption_shards(
    path: str | Path, *, split: str = "train", skip_bad: bool = False
) -> AnnotatedPictures[Sentence]:
    """Read shards of ``key.jpg`` (or another picture) with ``key.txt``, else ``key.json``.

    A text is one caption; JSON has ``caption``, ``captions`` or ``text``, one or a list, and may have
    ``language``. Names and folders of the shards say the split; without one they are training data.

    Args:
        path: A tar, a pattern of tars, or a folder of tars.
        split: Split to read.
        skip_bad: Leave bad members out instead of raising.

    Raises:
        ValueError: A shard is missing or broken, or members are bad; the message shows the first.
    """
    path = Path(path)
    defects = DefectRows(str(path))
    members: dict[str, TarMember] = {}
    records: dict[str, tuple[Sentence, ...]] = {}
    for shard in _shards(path, split):
        for key, sample in _samples(shard, defects).items():
            sentences = _sentences(key, sample, defects)
            if sample.image is None:
                defects.add("its picture is missing", "add it to the shard, or remove the text", key)
            elif sentences:
                name, member = sample.image
                members[name], records[name] = member, sentences
    return annotated(records, TarStore(members), f"{path} ({split})", defects, skip_bad=skip_bad)


def _shards(path: Path, split: str) -> list[Path]:
    if path.suffix == ".tar":
        return expand_shards(path)
    shards = sorted(path.rglob("*.tar"))
    splits = {shard: split_of(shard.relative_to(path).as_posix()) or "train" for shard in shards}
    chosen = [shard for shard in shards if splits[shard] == split]
    if not chosen:
        found = ", ".join(sorted(set(splits.values()))) or "no shards"
        raise SplitMissingError(f"{path} has no shards of the split {split!r}: found {found}")
    return chosen


def _samples(shard: Path, defects: DefectRows) -> dict[str, _Sample]:
    """Members of a shard by its name and their key, the name up to the first dot of its last part."""
    samples: dict[str, _Sample] = {}
    for info, payload in _members(shard):
        pure = PurePosixPath(info.name)
        key = f"{shard.name}/{pure.with_name(pure.name.split('.', 1)[0])}"
        sample = samples.setdefault(key, _Sample())
        if pure.suffix.lower() in IMAGE_SUFFIXES:
            if sample.image is not None:
                defects.add("it has a second picture", "give each picture its own key", key)
            member = TarMember(shard, info.offset_data, info.size)
            sample.image = (f"{shard.parent.name}/{shard.name}/{info.name}", member)
        elif pure.suffix == ".txt":
            sample.text = payload.decode("utf-8", "replace")
        elif pure.suffix == ".json":
            sample.fields = _fields(payload, key, defects)
    return samples


def _members(shard: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Files of a tar, with the content of its texts."""
    try:
        with tarfile.open(shard, "r:") as archive:
            for info in archive:
                if info.isfile():
                    wanted = info.name.endswith((".txt", ".json"))
                    file = archive.extractfile(info) if wanted else None
                    yield info, file.read() if file else b""
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is not a readable uncompressed tar: {error}") from error


def _fields(payload: bytes, key: str, defects: DefectRows) -> dict[str, Any] | None:
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        defects.add(f"its .json is not valid: {error}", "correct or remove it", key)
        return None
    if not isinstance(fields, dict):
        defects.add(f"its .json is no object: {shown(fields)}", 'write {"caption": ...}', key)
        return None
    return fields


def _sentences(key: str, sample: _Sample, defects: DefectRows) -> tuple[Sentence, ...]:
    """Captions of a sample; none, and a defect, where it has none."""
    fields = sample.fields or {}
    if sample.text is not None and sample.text.strip():
        texts: Any = [sample.text]
    else:
        texts = one_of(fields, "caption", "captions", "text")
        texts = texts if isinstance(texts, list) else [texts]
    language: Language | None = fields.get("language")
    good = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    if not good or len(good) != len(texts):
        defects.add("it has no caption, or one that is no text", "write one, or remove the sample", key)
    if language not in (None, "en", "zh"):
        defects.add(f"its language is {shown(language)}", "write en or zh, or leave it out", key)
        return ()
    return tuple(Sentence(text=text, language=language or language_of(text)) for text in good)
