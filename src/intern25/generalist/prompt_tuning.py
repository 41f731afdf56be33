# SPDX-License-Identifier: MIT
"""Prompt tuning: a few learned keys and values in every decoder layer, while nearly all weights stay.

For little data: what is trained is a hundredth of the model, so it cannot forget what it knows.
"""

# N batch, P prompts, d width, K classes

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.generalist.decoder import DecoderLayer, Segment, UnifiedDecoder
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.model import Generalist

PROMPT_DEVIATION = 0.02
"""Standard deviation of the prompts' keys at the start."""


class PromptCache(KeyValueCache):
    """A cache in which the prompts of a layer stand before the first token.

    Args:
        keys: ``(heads, P, head_width)``.
        values: ``(heads, P, head_width)``.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self._prompts = (keys, values)

    @property
    def length(self) -> int:
        """Prompts and tokens so far."""
        return self._prompts[0].shape[1] if self._keys is None else self._length

    def append(
        self, keys: Tensor, values: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Add the keys and values of new tokens, behind the prompts; see the parent."""
        if self._keys is None:
            first = [x.to(keys.dtype).expand(keys.shape[0], -1, -1, -1) for x in self._prompts]
            super().append(first[0], first[1])
        return super().append(keys, values, present)


class PromptedDecoder(UnifiedDecoder):
    r"""A decoder whose layers also attend to ``P`` learned keys and values.

    .. math:: \mathrm{softmax}\big(q\,[K_p; K]^\top / \sqrt{c}\big)\,[V_p; V]

    Convention: keys start near 0 and values at 0. The output of each attention is then the one without
    prompts times :math:`Z / (Z + P)`, with ``Z`` the sum of the exponentials over the tokens: prompts dilute,
    and say nothing yet. No start of learned keys and values is closer for every input.

    Args:
        decoder: The decoder, whose layers are taken over.
        prompts: Prompts ``P`` of each layer.

    Raises:
        ValueError: ``prompts`` is below 1, or the decoder has prompts already.

    Source:
        Uni-Perceiver, arXiv:2112.01522, section 3.4: deep prompts. Its 227K parameters of the base model are
        those of keys and values of their own, not of tokens that the layers project.
    """

    def __init__(self, decoder: UnifiedDecoder, prompts: int) -> None:
        if prompts < 1:
            raise ValueError(f"prompts={prompts} must be 1 or more")
        if isinstance(decoder, PromptedDecoder):
            raise ValueError("the decoder has prompts already; train those, or load weights without")
        nn.Module.__init__(self)
        self.width = decoder.width
        self.layers = decoder.layers
        self.norm = decoder.norm
        heads = cast(DecoderLayer, decoder.layers[0]).heads
        like = decoder.norm.weight
        shape = (len(decoder.layers), heads, prompts, decoder.width // heads)
        self.prompt_keys = nn.Parameter(PROMPT_DEVIATION * torch.randn(shape, device=like.device))
        self.prompt_values = nn.Parameter(torch.zeros(shape, device=like.device))

    @property
    def prompts(self) -> int:
        """Prompts of each layer."""
        return self.prompt_keys.shape[2]

    def forward(
        self, segments: Sequence[Segment], caches: Sequence[KeyValueCache] | None = None
    ) -> list[Tensor]:
        """Let the tokens of all segments attend to one another and to the prompts; see the parent."""
        return super().forward(segments, self.new_caches() if caches is None else caches)

    def new_caches(self) -> list[KeyValueCache]:
        """Return a cache for each layer that begins with its prompts."""
        return [PromptCache(k, v) for k, v in zip(self.prompt_keys, self.prompt_values, strict=True)]


class TunedClassHead(nn.Module):
    r"""A linear head beside the cosines, for a fixed list of classes.

    .. math:: \log P(x, y) = \alpha \cos(x, y) / \tau + (W x + b)_y + c, \qquad \alpha = 1,\; W = b = 0
        \text{ at the start}

    Convention: the sum is one of logits, as in the official code; the paper writes the exponential around
    the cosine alone, whose sum with a linear head may be negative. ``x`` has the length :math:`\sqrt d` here.

    Args:
        width: Channels ``d`` of the embeddings.
        classes: Classes ``K``.

    Source:
        Uni-Perceiver, arXiv:2112.01522, section 3.4.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.names: ClassNames | None = None
        """Names of the classes, in the order of the outputs; None where nobody has said them."""
        self.alpha = nn.Parameter(torch.ones(1))
        self.linear = nn.Linear(width, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, logits: Tensor, x: Tensor) -> Tensor:
        """``(N, K)`` cosines over the temperature and ``(N, d)`` embeddings of length 1 to ``(N, K)``."""
        with torch.autocast(x.device.type, enabled=False):
            scaled = x.to(self.linear.weight.dtype) * math.sqrt(x.shape[-1])
            return self.alpha * logits + F.linear(scaled, self.linear.weight, self.linear.bias)


class ClassHeads(nn.ModuleDict):
    """The heads of classification tasks by the name of the task."""


def prepare_prompt_tuning(model: Generalist, prompts: int, classes: Mapping[str, int] | None = None) -> int:
    """Give a generalist prompts and heads, in place, and freeze what prompt tuning leaves alone.

    Trained are the prompts, ``<SPE>``, the scale and shift of every LayerNorm, and the heads.

    Args:
        model: The generalist.
        prompts: Prompts of each decoder layer; those it has from a file stay, and must be as many.
        classes: Classes of each classification task that gets a head, by name; heads from a file stay.

    Returns:
        Number of parameters that are trained.

    Raises:
        ValueError: ``prompts`` is below 1 or not what the model has, or a head has other classes.
    """
    add_prompts(model, prompts, classes or {})
    model.requires_grad_(False)
    model.special.requires_grad_(True)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | TunedClassHead):
            module.requires_grad_(True)
    decoder = cast(PromptedDecoder, model.decoder)
    decoder.prompt_keys.requires_grad_(True)
    decoder.prompt_values.requires_grad_(True)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def add_prompts(model: Generalist, prompts: int, classes: Mapping[str, int]) -> None:
    """Add prompts, and heads by name, where the model does not have them.

    Raises:
        ValueError: The model has another number of prompts, or a head of other classes.
    """
    if prompts_of(model) == 0:
        model.decoder = PromptedDecoder(model.decoder, prompts)
    elif prompts_of(model) != prompts:
        raise ValueError(f"the model has {prompts_of(model)} prompts a layer, not {prompts}; ask for as many")
    heads = _heads(model)
    if classes and heads is None:
        heads = ClassHeads()
        model.add_module("class_heads", heads)
    known = class_heads_of(model)
    for name, number in classes.items():
        if known.get(name, number) != number:
            raise ValueError(f"the model's head for {name} has {known[name]} classes, the data have {number}")
        if name not in known and heads is not None:
            heads[name] = TunedClassHead(model.config.width, number).to(model.special.device)


def prompts_of(model: Generalist) -> int:
    """Prompts of each decoder layer; 0 where there are none."""
    return model.decoder.prompts if isinstance(model.decoder, PromptedDecoder) else 0


def class_heads_of(model: Generalist) -> dict[str, int]:
    """Classes of each head by the name of its task."""
    heads = _heads(model)
    if heads is None:
        return {}
    return {name: cast(TunedClassHead, head).linear.out_features for name, head in heads.items()}


def name_classes(model: Generalist, names: Mapping[str, ClassNames]) -> None:
    """Say what the outputs of heads mean, by the name of the task.

    Raises:
        ValueError: There is no such head, it has another number of outputs, or other names.
    """
    heads = _heads(model)
    for task, classes in names.items():
        if heads is None or task not in heads:
            raise ValueError(f"the model has no head for {task}; its heads are {list(class_heads_of(model))}")
        head = cast(TunedClassHead, heads[task])
        if len(classes) != head.linear.out_features:
            raise ValueError(f"{len(classes)} names for the {head.linear.out_features} classes of {task}")
        if head.names is not None and head.names != classes:
            other = next(pair for pair in zip(head.names.en, classes.en, strict=True) if pair[0] != pair[1])
            raise ValueError(
                f"the model's head for {task} has the class {other[0]!r} where the data have {other[1]!r}; "
                "call the task otherwise, or start from weights without this head"
            )
        head.names = classes


def class_names_of(model: Generalist) -> dict[str, ClassNames]:
    """Names of the classes of each head that has some, by the name of its task."""
    heads = [(name, cast(TunedClassHead, head).names) for name, head in (_heads(model) or {}).items()]
    return {name: names for name, names in heads if names is not None}


def only_head(model: Generalist) -> tuple[str, ClassNames] | None:
    """Task and classes of the model's head; None where it has none or several, or no names for it."""
    named = class_names_of(model)
    return next(iter(named.items())) if len(class_heads_of(model)) == len(named) == 1 else None


def tuned_logits(model: Generalist, name: str, logits: Tensor, x: Tensor) -> Tensor:
    """What the head of a task makes of its logits; the logits themselves where it has none.

    Args:
        model: The generalist.
        name: Name of the task.
        logits: ``(N, K)`` cosines over the temperature.
        x: ``(N, d)`` embeddings of the pictures.
    """
    heads = _heads(model)
    return logits if heads is None or name not in heads else cast(Tensor, heads[name](logits, x))


def _heads(model: Generalist) -> ClassHeads | None:
    heads = getattr(model, "class_heads", None)
    return heads if isinstance(heads, ClassHeads) else None
