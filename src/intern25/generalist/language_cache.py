# SPDX-License-Identifier: MIT
"""Our caches in the form that transformers' language models append to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor

from intern25.generalist.key_value_cache import KeyValueCache


def transformers_cache(caches: Sequence[KeyValueCache], present: Tensor | None) -> Any:
    """Return a ``transformers.Cache`` whose layers read from and append to ``caches``.

    Args:
        caches: One cache a layer.
        present: ``(N, L)`` bool of the tokens that are about to be appended.
    """
    from transformers.cache_utils import Cache

    layer = _layer_class()
    return Cache(layers=[layer(cache, present) for cache in caches])


@cache
def _layer_class() -> type[Any]:
    """The class is made at the first call, because its parent is an optional dependency's."""
    from transformers.cache_utils import DynamicLayer

    class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
        def __init__(self, store: KeyValueCache, present: Tensor | None) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.store = store
            self.present = present

        def update(
            self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
        ) -> tuple[Tensor, Tensor]:
            keys, values, _present = self.store.append(key_states, value_states, self.present)
            return keys, values

        def get_seq_length(self) -> int:
            return self.store.length

    return _Layer
