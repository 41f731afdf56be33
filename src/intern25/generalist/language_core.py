# SPDX-License-Identifier: MIT
"""A Hugging Face language model in the place of our text core, frozen, tuned whole or through LoRA."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.language_cache import transformers_cache
from intern25.generalist.text_core import cached_length, check_tokens
from intern25.generalist.visibility import visibility

_NEEDS_EXTRA = "language models need the hf extra: pip install 'intern25[hf]'"


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageCoreConfig:
    """Which language model is the text core, and what of it is trained."""

    name_or_path: str
    """Folder or hub repository of the model."""
    lora_rank: int = 0
    """Rank of the LoRA matrices; 0 = no LoRA."""
    lora_alpha: int = 16
    """LoRA's product is scaled by ``lora_alpha / lora_rank``."""
    lora_targets: tuple[str, ...] = ()
    """Linear layers with LoRA by the end of their names, such as ``("q_proj", "v_proj")``; () = all."""
    freeze: bool = True
    """Leave the model's own weights as they are."""

    def __post_init__(self) -> None:
        if not self.name_or_path:
            raise ValueError("name_or_path is empty; give a folder or a hub repository")
        if self.lora_rank < 0:
            raise ValueError(f"lora_rank={self.lora_rank} must be 0 (no LoRA) or more")
        if self.lora_alpha <= 0:
            raise ValueError(f"lora_alpha={self.lora_alpha} must be above 0")
        if self.lora_targets and not self.lora_rank:
            raise ValueError(f"lora_targets={self.lora_targets} needs lora_rank above 0")
        if self.lora_rank and not self.freeze:
            raise ValueError(f"lora_rank={self.lora_rank} trains LoRA alone; set freeze=True or lora_rank=0")


class LanguageCore(nn.Module):
    r"""Hidden states of a language model; with LoRA, every chosen weight is :math:`W + \frac{\alpha}{r} B A`.

    Convention: a causal language model sees backwards only, also with ``causal=False``. An encoder such as
    BERT obeys ``causal``. Positions count places. Weights are float32.

    Args:
        config: Model and training.

    Raises:
        ImportError: transformers, or peft for LoRA, is missing.
        ValueError: No such model, it is neither a causal language model nor an encoder, or it has no layers
            of the names in ``lora_targets``.

    Source:
        LoRA, arXiv:2106.09685.
    """

    def __init__(self, config: LanguageCoreConfig) -> None:
        super().__init__()
        model, self.sees_backwards_only = _load(config.name_or_path)
        parameters = inspect.signature(model.forward).parameters
        self._cache_name = next((name for name in ("cache", "past_key_values") if name in parameters), "")
        self._takes_positions = "position_ids" in parameters
        self._first_position = _first_position(model)
        settings = model.config.get_text_config()
        self._width, self._layers = int(settings.hidden_size), int(settings.num_hidden_layers)
        most = getattr(settings, "max_position_embeddings", None)
        self.max_length: int | None = None if most is None else int(most) - self._first_position
        model.requires_grad_(not config.freeze)
        self.model = _with_lora(model, config) if config.lora_rank else model
        self.config = config

    @property
    def width(self) -> int:
        """Channels of a state."""
        return self._width

    @property
    def embedding(self) -> nn.Embedding:
        """Embeddings of the vocabulary."""
        return cast(nn.Embedding, self.model.get_input_embeddings())

    def new_caches(self) -> list[KeyValueCache]:
        """Return one empty cache a layer."""
        return [KeyValueCache() for _ in range(self._layers)]

    def merge_lora(self) -> None:
        """Add LoRA's products to the weights: inference then costs nothing more, and nothing is trainable."""
        if self.config.lora_rank and hasattr(self.model, "merge_and_unload"):
            self.model = self.model.merge_and_unload()
            self.model.requires_grad_(False)

    def train(self, mode: bool = True) -> LanguageCore:
        """Switch to training; a model of which nothing trains keeps its dropout off."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            self.model.eval()
        return self

    def forward(
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
            ids: ``(N, L)`` int64 tokens of the model's own tokenizer.
            present: ``(N, L)`` bool, False where a place is padding, which no other place then sees.
            causal: Each token sees itself and the ones before it; an encoder's tokens otherwise see all.
            start: Position of the text's first token; these tokens come behind the cached ones.
            caches: Keys and values of the tokens before, one cache a layer; these tokens see them all and are
                added to them.

        Returns:
            ``(N, L, width)`` states of the last layer; those of padding mean nothing.

        Raises:
            ValueError: The model has no caches or no choice of positions, the text is too long for it, or
                shapes do not fit.
        """
        check_tokens(ids, present)
        past = cached_length(caches, self._layers)
        arguments: dict[str, Any] = {"input_ids": ids, **self._positions(ids, start + past)}
        past_present = caches[0].present if caches else None
        arguments["attention_mask"] = self._mask(ids, present, past, past_present, causal=causal)
        if caches is not None:
            if not self._cache_name:
                raise ValueError(
                    f"{self.config.name_or_path} cannot go on from cached tokens; pass no caches"
                )
            arguments[self._cache_name] = transformers_cache(caches, present)
        arguments["use_cache"] = caches is not None
        return cast(Tensor, self.model(**arguments).last_hidden_state)

    def _positions(self, ids: Tensor, start: int) -> dict[str, Tensor]:
        end = start + ids.shape[1]
        if start < 0 or (self.max_length is not None and end > self.max_length):
            raise ValueError(
                f"tokens at positions {start} .. {end - 1} do not fit into the {self.max_length} of "
                f"{self.config.name_or_path}"
            )
        if not self._takes_positions:
            if start:
                raise ValueError(f"{self.config.name_or_path} cannot start at position {start}, only at 0")
            return {}
        places = torch.arange(start, end, device=ids.device) + self._first_position
        return {"position_ids": places.expand(ids.shape[0], -1)}

    def _mask(
        self, ids: Tensor, present: Tensor | None, past: int, past_present: Tensor | None, *, causal: bool
    ) -> Tensor | None:
        """Mask in the form that the model adds its own order to, or, for an encoder, as what is added."""
        if self.sees_backwards_only or not (causal or past):
            return _presence(ids, present, past, past_present)
        visible = visibility(
            [ids.shape[1]], [causal], present, past=past, past_present=past_present, device=ids.device
        )
        if visible is None:
            return None
        dtype = self.embedding.weight.dtype
        hidden = torch.zeros(visible.shape, dtype=dtype, device=ids.device)
        hidden = hidden.masked_fill(~visible, torch.finfo(dtype).min)
        return hidden.expand(ids.shape[0], 1, ids.shape[1], past + ids.shape[1])


def _presence(ids: Tensor, present: Tensor | None, past: int, past_present: Tensor | None) -> Tensor | None:
    """``(N, past + L)`` ones where tokens are and in rows of padding alone, so that no softmax is empty."""
    if present is None and past_present is None:
        return None
    before = ids.new_ones(ids.shape[0], past).bool() if past_present is None else past_present
    here = torch.cat((before, torch.ones_like(ids).bool() if present is None else present), 1)
    return (here | ~here.any(1, keepdim=True)).long()


def _load(name_or_path: str) -> tuple[Any, bool]:
    """The bare model without heads, and whether its tokens see backwards only."""
    try:
        from transformers import AutoConfig, AutoModel
        from transformers.models.auto import modeling_auto
    except ImportError as error:
        raise ImportError(_NEEDS_EXTRA) from error
    try:
        settings = AutoConfig.from_pretrained(name_or_path)
        model = AutoModel.from_pretrained(name_or_path, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ValueError(f"no language model at {name_or_path}: {error}") from error
    masked = settings.model_type in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = settings.model_type in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if settings.is_encoder_decoder or not (masked or causal):
        raise ValueError(
            f"{name_or_path} is a {settings.model_type} model; the text core must be a causal language model "
            "such as Qwen or Llama, or an encoder such as BERT"
        )
    if getattr(model, "pooler", None) is not None:
        # It reads one token only, so its weights would take part in nothing.
        model.pooler = None
    return model, not masked or bool(getattr(settings, "is_decoder", False))


def _first_position(model: Any) -> int:
    """Number of the first place: RoBERTa's positions start behind the padding's number."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(positions, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _with_lora(model: Any, config: LanguageCoreConfig) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError(_NEEDS_EXTRA) from error
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=list(config.lora_targets) or "all-linear",
    )
    return get_peft_model(model, settings)
