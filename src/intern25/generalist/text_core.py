# SPDX-License-Identifier: MIT
"""What the generalist asks of a text core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from intern25.generalist.key_value_cache import KeyValueCache


class TextCore(Protocol):
    """A network that turns tokens into states: one of our own, or any language model.

    A core that is to be trained and saved is a ``torch.nn.Module`` as well.
    """

    @property
    def width(self) -> int:
        """Channels of a state."""
        ...

    @property
    def embedding(self) -> nn.Embedding:
        """Embeddings of the vocabulary."""
        ...

    def new_caches(self) -> list[KeyValueCache]:
        """Return one empty cache a layer."""
        ...

    def __call__(
        self,
        ids: Tensor,
        present: Tensor | None = None,
        *,
        causal: bool = False,
        start: int = 0,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """Encode tokens.

        Args:
            ids: ``(N, L)`` int64 tokens.
            present: ``(N, L)`` bool, False where a place is padding, which no other place then sees.
            causal: Each token sees itself and the ones before it; otherwise all see all.
            start: Position of the text's first token; these tokens come behind the cached ones.
            caches: Keys and values of the tokens before, one cache a layer; these tokens see them all and are
                added to them.

        Returns:
            ``(N, L, width)`` states; those of padding mean nothing.
        """
        ...


def check_tokens(ids: Tensor, present: Tensor | None) -> None:
    """Refuse tokens and presence that do not fit each other.

    Raises:
        ValueError: ``ids`` is not ``(N, L)`` integers, or ``present`` not bool of the same shape.
    """
    if ids.ndim != 2 or ids.is_floating_point() or not ids.shape[1]:
        raise ValueError(f"ids must be (N, L) integers, L at least 1, not {tuple(ids.shape)} {ids.dtype}")
    if present is not None and (present.shape != ids.shape or present.dtype != torch.bool):
        raise ValueError(
            f"present must be bool of the shape of ids, {tuple(ids.shape)}, "
            f"not {tuple(present.shape)} {present.dtype}"
        )


def cached_length(caches: Sequence[KeyValueCache] | None, layers: int) -> int:
    """Tokens that the caches hold.

    Raises:
        ValueError: There are more or fewer caches than layers.
    """
    if caches is None:
        return 0
    if len(caches) != layers:
        raise ValueError(f"{len(caches)} caches for {layers} layers; new_caches() makes one a layer")
    return caches[0].length
