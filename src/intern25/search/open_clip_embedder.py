# SPDX-License-Identifier: MIT
"""Models of open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F

from intern25.predictors.inputs import choose_device
from intern25.search.embedder import Pixels, Vectors
from intern25.search.fingerprint import fingerprint_of

_PREFIX = "open_clip:"
_HUB = "hf-hub:"


class OpenClipEmbedder:
    """A model of open_clip.

    Args:
        name: ``open_clip:MODEL/WEIGHTS``.
        model: The model, in float32.
        transform: From a Pillow picture to the model's input.
        tokenizer: From texts to token numbers ``(N, L)``.
        device: Where it runs.
    """

    def __init__(self, name: str, model: Any, transform: Any, tokenizer: Any, device: torch.device) -> None:
        self.name = name
        self.fingerprint = fingerprint_of(model)
        self.model = model.to(device).eval()
        self.transform = transform
        self.tokenizer = tokenizer
        self.device = device
        self.dimension = self.embed_texts(["a"]).shape[1]

    @classmethod
    def open(cls, name: str, *, device: str | None = None) -> OpenClipEmbedder:
        """Open ``open_clip:MODEL/WEIGHTS`` or ``open_clip:hf-hub:ORGANISATION/NAME``.

        Convention:
            - WEIGHTS: a tag that open_clip knows for the model, or the path of a weight file.

        Raises:
            ValueError: No weights are named, open_clip cannot open them, or the device is absent.
            ImportError: open_clip is not installed.
        """
        place = choose_device(device)
        library = _open_clip()
        inner = name.removeprefix(_PREFIX)
        model_name, _, weights = (inner, "", "") if inner.startswith(_HUB) else inner.partition("/")
        if not weights and not inner.startswith(_HUB):
            raise ValueError(
                f"{name} names no weights; write open_clip:MODEL/WEIGHTS or open_clip:hf-hub:NAME"
            )
        try:
            model, _, transform = library.create_model_and_transforms(model_name, pretrained=weights or None)
            tokenizer = library.get_tokenizer(model_name)
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(f"the model {name} cannot be opened: {error}") from error
        return cls(name, model.float(), transform, tokenizer, place)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """Return ``(N, D)`` for ``N`` pictures of any sizes."""
        inputs = torch.stack([self.transform(Image.fromarray(image)) for image in images])
        vectors: Vectors = F.normalize(self.model.encode_image(inputs.to(self.device)), dim=-1).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return ``(N, D)`` for ``N`` texts; what is too long for the model is cut off."""
        tokens = self.tokenizer(list(texts)).to(self.device)
        vectors: Vectors = F.normalize(self.model.encode_text(tokens), dim=-1).cpu().numpy()
        return vectors


def _open_clip() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        raise ImportError("models of open_clip need it: pip install open_clip_torch") from error
    library: ModuleType = open_clip
    return library
