# SPDX-License-Identifier: MIT
"""Get published weights through the hub's cache; a path always works instead."""

from __future__ import annotations

import hashlib
import socket
import urllib.parse
import urllib.request
from pathlib import Path

from intern25.weights.catalog import ModelCard

_FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_FOLDER_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_FOLDER_TEXTS = ("config.json", "preprocessor_config.json")
_CHUNK = 1 << 22


def fetch_card(card: ModelCard) -> Path:
    """Return the local path of a published model's file, downloading it on first use.

    Raises:
        ConnectionError: The hub cannot be reached; the message says how to go on without it.
        ValueError: The file is not what the catalog expects, or was not shipped with this package.
    """
    if card.source == "package":
        if not card.available:
            raise ValueError(
                f"the weights of {card.id} are not part of this installation ({card.packaged_path} is "
                "missing); reinstall intern25 or pass pretrained='/path/to/file'"
            )
        return card.packaged_path
    path = _download(card.hub_repository, card.file)
    if card.sha256 is not None and _sha256(path) != card.sha256:
        raise ValueError(f"{path} has another checksum than {card.id} should have; delete it and try again")
    return path


def fetch_repository(repository: str) -> Path:
    """Return the local folder of a hub repository in the Hugging Face layout, downloading what is needed.

    Raises:
        ConnectionError: The hub cannot be reached.
        ValueError: The repository does not exist or has no weights.
    """
    weights = _first_of(repository, (*_FOLDER_WEIGHTS, *_FOLDER_INDEXES))
    if weights.name in _FOLDER_INDEXES:
        _fetch_shards(repository, weights)
    for name in _FOLDER_TEXTS:
        _download_optional(repository, name)
    return weights.parent


def _first_of(repository: str, names: tuple[str, ...]) -> Path:
    for name in names:
        path = _download_optional(repository, name)
        if path is not None:
            return path
    raise ValueError(
        f"the hub repository {repository} has none of {', '.join(names)}; "
        "download the weight file yourself and pass pretrained='/path/to/file'"
    )


def _fetch_shards(repository: str, index: Path) -> None:
    import json

    weight_map = json.loads(index.read_text(encoding="utf-8")).get("weight_map", {})
    for name in sorted(set(weight_map.values())):
        _download(repository, name)


def _download_optional(repository: str, name: str) -> Path | None:
    """As ``_download``; None when the repository has no such file."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return _download(repository, name)
    except ConnectionError as error:
        cause = error.__cause__
        if isinstance(cause, EntryNotFoundError) and not isinstance(cause, LocalEntryNotFoundError):
            return None
        raise


def _download(repository: str, name: str) -> Path:
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import RepositoryNotFoundError

    # Where its name does not even resolve, the client would still try six times over half a minute.
    offline = not _resolves(constants.ENDPOINT)
    try:
        path = huggingface_hub.hf_hub_download(repo_id=repository, filename=name, local_files_only=offline)
        return Path(path)
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"the hub has no repository {repository!r}; check the name or pass a path"
        ) from error
    except Exception as error:  # the hub client lets its transport's errors through
        url = f"https://huggingface.co/{repository}/resolve/main/{name}"
        raise ConnectionError(
            f"could not download {url} ({type(error).__name__}). Without a network: download it on another "
            f"machine and pass pretrained='/path/to/{name}'; with a mirror: set HF_ENDPOINT"
        ) from error


def _resolves(address: str) -> bool:
    """Whether the host of a web address is known here; the proxy that serves it may know more."""
    parts = urllib.parse.urlsplit(address)
    # getproxies() tells of every variable that ends in _proxy, NO_PROXY included, which is none.
    if {parts.scheme, "all"} & urllib.request.getproxies().keys():
        return True
    try:
        socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return False
    return True


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
