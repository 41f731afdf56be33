# SPDX-License-Identifier: MIT
"""Keys and values that one attention layer has computed, kept while a text grows."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST_ROOM = 16


class KeyValueCache:
    """Keys and values of the past tokens of one attention layer.

    Convention: one cache per layer. Without gradients, room is doubled when it runs out, so that ``n``
    appended tokens cost O(n) copies in all, and what was returned before stays valid. With gradients enabled,
    what is returned is a concatenation that carries them.

    Example:
        >>> cache = KeyValueCache()
        >>> keys, values, present = cache.append(torch.zeros(2, 6, 5, 32), torch.zeros(2, 6, 5, 32))
        >>> keys, values, present = cache.append(torch.zeros(2, 6, 1, 32), torch.zeros(2, 6, 1, 32))
        >>> keys.shape, present, cache.length
        (torch.Size([2, 6, 6, 32]), None, 6)
        >>> cache.select(torch.tensor([1, 1, 0])).rows
        3
    """

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._present: Tensor | None = None
        self._length = 0

    @property
    def length(self) -> int:
        """Tokens so far, padding included."""
        return self._length

    @property
    def present(self) -> Tensor | None:
        """Which tokens are present, ``(N, length)`` bool; None while no append has said so."""
        return self._present

    @property
    def rows(self) -> int:
        """Rows of the batch; 0 before the first append."""
        return 0 if self._keys is None else self._keys.shape[0]

    def append(
        self, keys: Tensor, values: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Add the keys and values of new tokens.

        Args:
            keys: ``(N, heads, L, head_width)``.
            values: ``(N, heads, L, head_width)``.
            present: ``(N, L)`` bool, False where a token is padding; None where all are tokens.

        Returns:
            Keys and values ``(N, heads, S, head_width)`` of all tokens so far, the new ones last, and which
            are present, ``(N, S)`` bool, or None while no append has said so.

        Raises:
            ValueError: The new tokens do not continue the old ones: other rows, heads, width or dtype.
        """
        self._check(keys, values, present)
        past, total = self._length, self._length + keys.shape[2]
        if present is not None or self._present is not None:
            new = _all_present(keys, keys.shape[2]) if present is None else present
            old = _all_present(keys, past) if self._present is None else self._present[:, :past]
            self._present = torch.cat((old, new), 1) if past else new
        self._keys = _extend(self._keys, past, keys)
        self._values = _extend(self._values, past, values)
        self._length = total
        return self._keys[:, :, :total], self._values[:, :, :total], self._present

    def select(self, rows: Tensor) -> KeyValueCache:
        """Rows of the batch as a new cache: beams that are repeated, texts that are finished and dropped.

        Args:
            rows: ``(M,)`` int64 indices into the batch, in any order and number.
        """
        chosen = KeyValueCache()
        if self._keys is not None and self._values is not None:
            chosen._keys = self._keys.index_select(0, rows)
            chosen._values = self._values.index_select(0, rows)
            chosen._present = None if self._present is None else self._present.index_select(0, rows)
            chosen._length = self._length
        return chosen

    def _check(self, keys: Tensor, values: Tensor, present: Tensor | None) -> None:
        if keys.ndim != 4 or keys.shape != values.shape:
            raise ValueError(
                f"keys {tuple(keys.shape)} and values {tuple(values.shape)} must have one shape "
                "(N, heads, L, head_width)"
            )
        if present is not None and present.shape != (keys.shape[0], keys.shape[2]):
            raise ValueError(
                f"present {tuple(present.shape)} must be (N, L) = ({keys.shape[0]}, {keys.shape[2]})"
            )
        if self._keys is None:
            return
        old, new = (self._keys.shape[0], *self._keys.shape[1::2]), (keys.shape[0], *keys.shape[1::2])
        if old != new or self._keys.dtype != keys.dtype:
            raise ValueError(
                f"the cache holds (rows, heads, width) = {old} of {self._keys.dtype}, "
                f"the new tokens are {new} of {keys.dtype}; choose rows with select() first"
            )


def _all_present(like: Tensor, length: int) -> Tensor:
    return torch.ones(like.shape[0], length, dtype=torch.bool, device=like.device)


def _extend(store: Tensor | None, past: int, new: Tensor) -> Tensor:
    """A tensor whose first ``past + L`` places along the length are the old ones and the new ones."""
    if store is None:
        return new
    if torch.is_grad_enabled():
        # Writing in place would change what the backward pass of an earlier step has kept.
        return torch.cat((store[:, :, :past], new), 2)
    total = past + new.shape[2]
    if total > store.shape[2]:
        rows, heads, _, width = store.shape
        grown = new.new_empty(rows, heads, max(2 * total, _LEAST_ROOM), width)
        grown[:, :, :past] = store[:, :, :past]
        store = grown
    store[:, :, past:total] = new
    return store
