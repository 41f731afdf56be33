# SPDX-License-Identifier: MIT
"""Embeddings of a list of names, kept between calls while the weights that made them stay as they are."""

from __future__ import annotations

import torch
from torch import Tensor

from intern25.generalist.model import Generalist
from intern25.generalist.routing import Routing
from intern25.generalist.tokenizer import TokenBatch


class KeptNames:
    """``K`` names, embedded when asked for.

    Convention: embeddings are kept in evaluation mode without gradients alone. Training drops them, and so
    does whatever writes to the weights in place or puts others there: an optimizer, ``load_state_dict``, a
    move to another device. Writing through ``.data`` is not seen, as torch does not see it.

    Args:
        model: The generalist.
        names: Tokens of the names.
        routing: Attributes of the task.
    """

    def __init__(self, model: Generalist, names: TokenBatch, routing: Routing) -> None:
        self.model = model
        self.names = names
        self.routing = routing
        self._kept: Tensor | None = None
        self._made_by: tuple[tuple[int, int], ...] = ()

    def __call__(self) -> Tensor:
        """``(K, d)`` embeddings of length 1."""
        if self.model.training:
            self._kept = None
        if self.model.training or torch.is_grad_enabled():
            return self.embed()
        weights = _state_of(self.model)
        if self._kept is None or weights != self._made_by:
            self._kept, self._made_by = self.embed(), weights
        return self._kept

    def embed(self) -> Tensor:
        """Embed the names anew."""
        return self.model.embed_texts(self.names.to(self.model.device), self.routing)


def _state_of(model: Generalist) -> tuple[tuple[int, int], ...]:
    """Which tensors the weights are, and how often each was written to."""
    return tuple(
        # Tensors made in inference mode have no count.
        (id(tensor), 0 if tensor.is_inference() else tensor._version)
        for tensor in (*model.parameters(), *model.buffers())
    )
