# SPDX-License-Identifier: MIT
"""Finding pictures by text and texts by picture: recall, precision, and what chance would find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

_DEPTHS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtDepths:
    """A share, 0..1, among the best 1, 5 and 10."""

    at1: float
    at5: float
    at10: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalReport:
    """How often the right partner is among the best ones."""

    pictures: int
    """Pictures searched."""
    texts: int
    """Texts searched."""
    image_to_text: AtDepths
    """Share of pictures with one of their texts among the best."""
    text_to_image: AtDepths
    """Share of texts with their picture among the best."""
    chance_image_to_text: AtDepths
    """What random orders give on average."""
    chance_text_to_image: AtDepths
    """What random orders give on average."""

    def as_dict(self) -> dict[str, object]:
        """Return the numbers by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class NameSearchReport:
    """How many of the first pictures found by a name show what it says."""

    names: int
    """Names with at least one picture."""
    pictures: int
    """Pictures searched."""
    precision: AtDepths
    """Share of right ones among the first pictures, mean over names."""
    best: AtDepths
    """The same with all right ones first: below 1 where a name has fewer pictures than that."""
    chance: float
    """What random orders give on average, at any depth."""

    def as_dict(self) -> dict[str, object]:
        """Return the numbers by name."""
        return asdict(self)


def score_retrieval(similarities: Tensor, picture_of_text: Sequence[int]) -> RetrievalReport:
    """Score retrieval in both directions; a picture may have several texts.

    Convention: of equal similarities the wrong one comes first, so a model that finds all alike finds
    nothing.

    Args:
        similarities: ``(pictures, texts)``, higher is nearer.
        picture_of_text: Row of the picture that each text belongs to.

    Returns:
        The report.

    Raises:
        ValueError: The sizes disagree, a picture has no text, or a similarity is NaN.
    """
    pictures, texts = _sizes(similarities)
    owner = torch.as_tensor(picture_of_text, dtype=torch.long, device=similarities.device)
    if owner.shape != (texts,):
        raise ValueError(
            f"similarities has {texts} texts but picture_of_text has the shape {tuple(owner.shape)}"
        )
    counts = torch.bincount(owner.clamp(min=0), minlength=pictures)
    if int(owner.min()) < 0 or len(counts) > pictures:
        raise ValueError(
            f"picture_of_text must lie in 0..{pictures - 1}; it has {owner.min()}..{owner.max()}"
        )
    if not bool((counts > 0).all()):
        raise ValueError(f"picture {int(counts.argmin())} has no text; leave it out")
    columns = torch.arange(texts, device=similarities.device)
    mine = similarities[owner, columns]
    # A text's own picture is among those counted.
    rank_of_picture = (similarities >= mine).sum(dim=0) - 1
    owned = torch.zeros_like(similarities, dtype=torch.bool)
    owned[owner, columns] = True
    best = similarities.masked_fill(~owned, -math.inf).amax(dim=1, keepdim=True)
    rank_of_text = ((similarities >= best) & ~owned).sum(dim=1)
    found = [_random_recall(texts, count) for count in counts.tolist()]
    return RetrievalReport(
        pictures=pictures,
        texts=texts,
        image_to_text=_at_depths([float((rank_of_text < k).double().mean()) for k in _DEPTHS]),
        text_to_image=_at_depths([float((rank_of_picture < k).double().mean()) for k in _DEPTHS]),
        chance_image_to_text=_at_depths(
            [math.fsum(column) / pictures for column in zip(*found, strict=True)]
        ),
        chance_text_to_image=_at_depths(_random_recall(pictures, 1)),
    )


def score_name_search(similarities: Tensor, right: Tensor) -> NameSearchReport:
    """Score the search of pictures by names, such as those of classes.

    Convention: as in :func:`score_retrieval`, of equal similarities the wrong one comes first. Names without
    a picture are left out.

    Args:
        similarities: ``(names, pictures)``, higher is nearer.
        right: ``(names, pictures)`` bool, whether the picture shows what the name says.

    Returns:
        The report.

    Raises:
        ValueError: The sizes disagree, no name has a picture, or a similarity is NaN.
    """
    _, pictures = _sizes(similarities)
    if right.shape != similarities.shape:
        raise ValueError(f"right has the shape {tuple(right.shape)}, not that of similarities")
    kept = right.any(dim=1)
    if not bool(kept.any()):
        raise ValueError("no name has a picture that is right")
    similarities, right = similarities[kept], right[kept]
    # Wrong ones first, then a stable sort, so that they stay first among equals.
    wrong_first = right.long().argsort(dim=1, stable=True)
    order = similarities.gather(1, wrong_first).argsort(dim=1, descending=True, stable=True)
    found = right.gather(1, wrong_first).gather(1, order).double()
    ideal = right.double().sort(dim=1, descending=True).values
    return NameSearchReport(
        names=len(right),
        pictures=pictures,
        precision=_at_depths([float(found[:, :k].mean()) for k in _DEPTHS]),
        best=_at_depths([float(ideal[:, :k].mean()) for k in _DEPTHS]),
        chance=float(right.double().mean()),
    )


def _sizes(similarities: Tensor) -> tuple[int, int]:
    if similarities.ndim != 2 or not similarities.numel():
        raise ValueError(
            f"similarities has the shape {tuple(similarities.shape)}; it must be a filled matrix"
        )
    if bool(similarities.isnan().any()):
        raise ValueError("similarities has NaN")
    return similarities.shape[0], similarities.shape[1]


def _at_depths(values: Sequence[float]) -> AtDepths:
    return AtDepths(at1=values[0], at5=values[1], at10=values[2])


def _random_recall(candidates: int, right: int) -> list[float]:
    """Probability that one of the right ones is among the first of a random order."""
    wrong = candidates - right
    return [1.0 - math.comb(wrong, k) / math.comb(candidates, k) if k <= candidates else 1.0 for k in _DEPTHS]
