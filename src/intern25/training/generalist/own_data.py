# SPDX-License-Identifier: MIT
"""Tasks from a user's own data: for each kind of task the readers that there are, in whatever format.

``my/`` for all kinds, or a path a kind: ``vqa=questions/,retrieval=album.zip``. Every row and picture is
looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from intern25.training.generalist.mixture import Mixture, MixturePart
from intern25.training.generalist.own import labelled, texts
from intern25.training.generalist.own.language import language
from intern25.training.generalist.own.pretraining import pretrain
from intern25.training.generalist.own.settings import OwnSettings

KINDS: Mapping[str, Callable[[str, str, OwnSettings], MixturePart]] = MappingProxyType(
    {
        "classify": labelled.classify,
        "detect": labelled.detect,
        "segment": labelled.segment,
        "retrieval": texts.retrieval,
        "caption": texts.caption,
        "vqa": texts.vqa,
        "read": texts.read,
        "reason": texts.reason,
        "language": language,
        "pretrain": pretrain,
    }
)
"""Kind of task to what makes it of a path, a name and settings."""


def own_mixture(data: str, tasks: Sequence[str], settings: OwnSettings) -> Mixture:
    """Return the tasks of a user's data.

    Args:
        data: A path for all ``tasks``, or ``kind=path`` parts between commas.
        tasks: Kinds of :data:`KINDS`; empty = those that ``data`` names.
        settings: What all tasks share.

    Raises:
        ValueError: A kind is unknown or has no data, nothing usable is there, or rows and pictures are bad.

    Example:
        >>> own_mixture("album.zip", ("retrieval",), settings)  # doctest: +SKIP
    """
    paths = paths_of_kinds(data, tasks)
    counts: dict[str, int] = {}
    parts = []
    for kind, path in paths:
        counts[kind] = counts.get(kind, 0) + 1
        name = kind if counts[kind] == 1 else f"{kind}_{counts[kind]}"
        parts.append(KINDS[kind](path, name, settings))
    return Mixture(tuple(parts))


def paths_of_kinds(data: str, tasks: Sequence[str]) -> list[tuple[str, str]]:
    """Kind and path of each task.

    Raises:
        ValueError: A kind is unknown, named in ``tasks`` but not in ``data``, or there is none.
    """
    for kind in tasks:
        if kind not in KINDS:
            raise ValueError(f"there is no kind of task {kind!r}; the kinds are {', '.join(KINDS)}")
    if not names_kinds(data):
        if not tasks:
            raise ValueError(f"say what {data} is for with --tasks: {', '.join(KINDS)}")
        return [(kind, data) for kind in dict.fromkeys(tasks)]
    pairs = [(part.partition("=")[0].strip(), part.partition("=")[2].strip()) for part in data.split(",")]
    for kind, path in pairs:
        if kind not in KINDS or not path:
            raise ValueError(
                f"{kind}={path} is no task with its path; write kind=path,kind=path with {', '.join(KINDS)}"
            )
    lacking = set(tasks) - {kind for kind, _ in pairs}
    if lacking:
        raise ValueError(f"{data} has no path for {', '.join(sorted(lacking))}")
    return [pair for pair in pairs if not tasks or pair[0] in tasks]


def names_kinds(data: str) -> bool:
    """Whether a path is one of ``kind=path`` parts."""
    kind, equals, _ = data.partition("=")
    return bool(equals) and kind.strip() in KINDS
