# SPDX-License-Identifier: MIT
"""Downloads, with a hub of local files in place of the network."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.weights.catalog import CARDS
from intern25.weights.convert import convert
from intern25.weights.create import create_model
from intern25.weights.download import fetch_card, fetch_repository
from tests.weights.samples import classifier, same, tensors_of

CARD = CARDS["internimage_t_1k_224"]


class NoRepositoryError(RepositoryNotFoundError):
    """The hub's own error, whose constructor differs between its versions."""

    def __init__(self) -> None:
        Exception.__init__(self, "404")


class NoFileError(EntryNotFoundError):
    def __init__(self) -> None:
        Exception.__init__(self, "404")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder per repository; files that are not there are 404."""
    root = tmp_path / "hub"
    root.mkdir()

    def download(repo_id: str, filename: str, local_files_only: bool) -> str:
        if not (root / repo_id).is_dir():
            raise NoRepositoryError
        path = root / repo_id / filename
        if not path.is_file():
            raise NoFileError
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    return root


def test_a_cached_file_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name server the hub's cache is asked at once; its client would try for half a minute."""
    asked = []

    def download(repo_id: str, filename: str, local_files_only: bool) -> str:
        asked.append(local_files_only)
        return str(tmp_path / filename)

    def fail(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert fetch_card(CARD) == tmp_path / CARD.file
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    fetch_card(CARD)
    monkeypatch.delenv("https_proxy")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    fetch_card(CARD)
    assert asked == [True, False, False]


@pytest.mark.parametrize("exception", [{}, {"no_proxy": "localhost"}], ids=["no proxy", "only an exception"])
def test_without_a_network_the_error_is_one_line_at_once(tmp_path: Path, exception: dict[str, str]) -> None:
    """In a process of its own with the real hub client; the domain ``invalid`` exists nowhere."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"HF_ENDPOINT": "https://hub.invalid", "HF_HOME": str(tmp_path)} | exception
    command = [sys.executable, "-m", "intern25", "classify", "picture.jpg", "--model", CARD.id]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"could not download https://huggingface.co/{CARD.hub_repository}" in done.stderr


def put(hub: Path, repository: str, name: str, content: bytes) -> Path:
    path = hub / repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_card_is_found(hub: Path) -> None:
    path = put(hub, CARD.hub_repository, CARD.file, b"weights")
    assert fetch_card(CARD) == path


def test_checksum(hub: Path) -> None:
    put(hub, CARD.hub_repository, CARD.file, b"weights")
    right = dataclasses.replace(CARD, sha256=hashlib.sha256(b"weights").hexdigest())
    assert fetch_card(right).read_bytes() == b"weights"
    with pytest.raises(ValueError, match="checksum"):
        fetch_card(dataclasses.replace(CARD, sha256="0" * 64))


@pytest.mark.parametrize(
    "error", [OSError("no route to host"), LocalEntryNotFoundError("offline"), TimeoutError("slow")]
)
def test_offline_error_names_the_way_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_: str) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ConnectionError) as caught:
        create_model("internimage_t", pretrained=True)
    text = str(caught.value)
    assert "https://huggingface.co/OpenGVLab/InternImage/resolve/main/internimage_t_1k_224.pth" in text
    assert "pretrained='/path/to/internimage_t_1k_224.pth'" in text
    with pytest.raises(ConnectionError, match=r"model\.safetensors"):
        create_model("internimage_t", pretrained="OpenGVLab/internimage_t_1k_224")


def test_published_file_is_loaded(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nano-size stand-in for the published T: the way is the same, the file is small."""
    source = classifier(INTERNIMAGE_NANO, 1000)
    torch.save({"model": tensors_of(source)}, put(hub, CARD.hub_repository, CARD.file, b""))
    card = dataclasses.replace(CARD, architecture="internimage_nano")
    monkeypatch.setattr("intern25.weights.create.find_card", lambda _: card)
    assert same(create_model("internimage_t_1k_224", pretrained=True), source)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin", "index"])
def test_hugging_face_repository(hub: Path, tmp_path: Path, weights: str) -> None:
    source = classifier(INTERNIMAGE_NANO, 7)
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    (hub / "someone").mkdir()
    folder = hub / "someone" / "nano"
    convert(tmp_path / "w.pth", folder, layout="hugging_face")
    if weights == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
        torch.save(tensors_of(source, "hugging_face"), folder / weights)
    if weights == "index":
        (folder / "model.safetensors").rename(folder / "model-1-of-1.safetensors")
        names = ", ".join(f'"{n}": "model-1-of-1.safetensors"' for n in tensors_of(source, "hugging_face"))
        (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {{{names}}}}}')
    assert fetch_repository("someone/nano") == folder
    model = create_model("internimage_nano", pretrained="someone/nano")
    assert model.num_classes == 7
    assert same(model, source)


def test_repository_problems(hub: Path) -> None:
    with pytest.raises(ValueError, match="no repository 'some/where'"):
        fetch_repository("some/where")
    put(hub, "some/where", "README.md", b"")
    with pytest.raises(ValueError, match=r"none of model\.safetensors"):
        fetch_repository("some/where")


def test_package_row_without_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = dataclasses.replace(CARDS["internimage_nano_caltech101"], file="absent.safetensors")
    assert not card.available
    with pytest.raises(ValueError, match="not part of this installation"):
        fetch_card(card)
