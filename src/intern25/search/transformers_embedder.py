# SPDX-License-Identifier: MIT
"""Models of the CLIP kind from transformers: CLIP, SigLIP, ChineseCLIP and others with their methods."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from intern25.predictors.inputs import choose_device
from intern25.search.embedder import Pixels, Vectors
from intern25.search.fingerprint import fingerprint_of

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_NEEDED = ("get_image_features", "get_text_features")
_KINDS = (
    "name a generalist or its weight file, the folder or hub id of a CLIP, SigLIP or ChineseCLIP model, or "
    "open_clip:MODEL/WEIGHTS"
)


class TransformersEmbedder:
    """A model of transformers with ``get_image_features`` and ``get_text_features``.

    Args:
        name: Hub id or folder.
        model: The model, in float32.
        processor: What prepares its pictures and texts.
        device: Where it runs.
    """

    def __init__(self, name: str, model: Any, processor: Any, device: torch.device) -> None:
        self.name = name
        self.fingerprint = fingerprint_of(model)
        self.model = model.to(device).eval()
        self.processor = processor
        self.device = device
        text = model.config.text_config
        self._longest_text = min(processor.tokenizer.model_max_length, text.max_position_embeddings)
        # SigLIP was trained with texts of one length, padding included.
        self._is_siglip = model.config.model_type.startswith("siglip")
        self.dimension = self.embed_texts(["a"]).shape[1]

    @classmethod
    def open(cls, name: str, *, device: str | None = None) -> TransformersEmbedder:
        """Open a folder or hub id; see :func:`intern25.search.opening.open_embedder`."""
        place = choose_device(device)
        library = _transformers()
        path = Path(name)
        if path.is_file():
            raise ValueError(f"{name} is a file, not a model that searches; {_KINDS}")
        if not path.is_dir() and not _HUB_NAME.fullmatch(name):
            raise ValueError(f"no model that searches has the name {name!r}; {_KINDS}")
        if path.is_dir():
            name = str(path.resolve())  # It is opened again from other working folders.
        try:
            config = library.AutoConfig.from_pretrained(name)
            kind = library.MODEL_MAPPING.get(type(config), None)
            if not all(hasattr(kind, method) for method in _NEEDED):
                raise _NoEmbedderError
            processor = library.AutoProcessor.from_pretrained(name)
            with _without_bars(library):
                model = library.AutoModel.from_pretrained(name).float()
        except _NoEmbedderError:
            raise ValueError(
                f"{name} is a model of kind {config.model_type!r}, "
                f"which does not embed both pictures and texts; {_KINDS}"
            ) from None
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"the model {name} cannot be opened ({reason}); {_KINDS}") from error
        return cls(name, model, processor, place)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """Return ``(N, D)`` for ``N`` pictures of any sizes."""
        pictures = [Image.fromarray(image) for image in images]
        inputs = self.processor.image_processor(pictures, return_tensors="pt")
        return _unit_rows(self.model.get_image_features(**inputs.to(self.device)))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return ``(N, D)`` for ``N`` texts; what is too long for the model is cut off."""
        inputs = self.processor.tokenizer(
            list(texts),
            padding="max_length" if self._is_siglip else True,
            truncation=True,
            max_length=self._longest_text,
            return_tensors="pt",
        )
        if self._is_siglip:
            inputs.pop("attention_mask", None)
        return _unit_rows(self.model.get_text_features(**inputs.to(self.device)))


class _NoEmbedderError(Exception):
    """A model of another kind."""


def _unit_rows(features: Any) -> Vectors:
    """Rows of length 1; transformers 5 wraps the tensor of features."""
    tensor: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    vectors: Vectors = F.normalize(tensor.float(), dim=-1).cpu().numpy()
    return vectors


@contextlib.contextmanager
def _without_bars(library: ModuleType) -> Iterator[None]:
    """Silence the progress of loading, which takes a moment and prints into pipes."""
    switch = library.utils.logging
    was_shown = switch.is_progress_bar_enabled()
    switch.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            switch.enable_progress_bar()


def _transformers() -> ModuleType:
    try:
        import transformers
    except ImportError as error:
        raise ImportError("models of the CLIP kind need transformers: pip install 'intern25[hf]'") from error
    return transformers
