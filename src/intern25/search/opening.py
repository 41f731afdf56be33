# SPDX-License-Identifier: MIT
"""From a name or path to a model that embeds pictures and texts."""

from __future__ import annotations

from intern25.search.embedder import Embedder


def open_embedder(name_or_path: str, *, device: str | None = None) -> Embedder:
    """Open a model by which albums can be searched.

    Convention:
        - the id of a generalist, such as ``intern25_tiny``, or its ``.safetensors`` file: our own model reads
          Chinese and English and also embeds the parts of pictures; it works offline.
        - a folder, or ``organisation/name`` on the Hugging Face hub: a CLIP, SigLIP, ChineseCLIP or like
          model of transformers; from a folder it works offline.
        - ``open_clip:MODEL/WEIGHTS``: a model of open_clip.

    Args:
        name_or_path: Which model.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``; None takes the best there is.

    Raises:
        ValueError: There is no such model, it embeds no pictures and texts, or the device is absent.
        FileNotFoundError: The weights of the generalist did not come with this version.
        ImportError: The library of the model is not installed.
    """
    if name_or_path.startswith("open_clip:"):
        from intern25.search.open_clip_embedder import OpenClipEmbedder

        return OpenClipEmbedder.open(name_or_path, device=device)
    from intern25.weights.generalists import generalist_path

    if generalist_path(name_or_path) is not None:
        from intern25.search.generalist_embedder import GeneralistEmbedder

        return GeneralistEmbedder.open(name_or_path, device=device)
    from intern25.search.transformers_embedder import TransformersEmbedder

    return TransformersEmbedder.open(name_or_path, device=device)
