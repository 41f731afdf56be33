# SPDX-License-Identifier: MIT
"""Models of other libraries as embedders: what they give is what the models give themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from intern25.search import open_embedder
from intern25.search.fingerprint import fingerprint_of
from tests.search.small_clip import SIDE, save_chinese_clip, save_clip, save_siglip

SAVERS = {"clip": save_clip, "chinese_clip": save_chinese_clip, "siglip": save_siglip}
TEXTS = ["红色的公交车", "a red bus", "a long text, longer than the model can read at once: cut off"]


def pictures() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((SIDE, SIDE), (20, 50), (3, 4))]


@pytest.fixture(scope="module", params=list(SAVERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVERS[request.param](tmp_path_factory.mktemp("models") / request.param)


def test_embeddings_are_the_models_own(folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    embedder = open_embedder(str(folder), device="cpu")
    model = AutoModel.from_pretrained(folder).eval()
    picture = pictures()[0]
    processor = embedder.processor.image_processor
    mean, std = np.array(processor.image_mean), np.array(processor.image_std)
    pixels = torch.tensor(((picture / 255.0 - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(folder)("红", return_tensors="pt")["input_ids"]
    if model.config.model_type == "siglip":
        tokens = nn.functional.pad(tokens, (0, 16 - tokens.shape[1]), value=513)
    with torch.inference_mode():
        wanted = [
            model.get_image_features(pixel_values=pixels).pooler_output,
            model.get_text_features(input_ids=tokens).pooler_output,
        ]
    for own, ours in zip(
        wanted, (embedder.embed_images([picture]), embedder.embed_texts(["红"])), strict=True
    ):
        unit = own.numpy() / np.linalg.norm(own.numpy())
        assert ours.shape == (1, embedder.dimension)
        np.testing.assert_allclose(ours, unit, atol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(folder: Path) -> None:
    embedder = open_embedder(str(folder), device="cpu")
    together = embedder.embed_images(pictures()), embedder.embed_texts(TEXTS)
    alone = [embedder.embed_images([one]) for one in pictures()], [embedder.embed_texts([t]) for t in TEXTS]
    for rows, ones in zip(together, alone, strict=True):
        np.testing.assert_allclose(rows, np.concatenate(ones), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert np.abs(together[0][0] - together[0][1]).max() > 1e-3
    assert np.abs(together[1][0] - together[1][1]).max() > 1e-6


def test_the_name_opens_it_from_anywhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    first = open_embedder(folder.name, device="cpu")
    monkeypatch.chdir(tmp_path)
    assert open_embedder(first.name, device="cpu").fingerprint == first.fingerprint


def change_one(model: nn.Module) -> None:
    with torch.no_grad():
        next(iter(model.parameters())).add_(1e-3)


def rename(model: nn.Module) -> None:
    model.other = model[0]  # type: ignore[index, assignment]


@pytest.mark.parametrize("change", [change_one, rename])
def test_a_fingerprint_tells_weights_apart(change: Callable[[nn.Module], None]) -> None:
    def model() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(50, 60), nn.BatchNorm1d(60))

    first, second = model(), model()
    assert fingerprint_of(first) == fingerprint_of(second)
    change(second)
    assert fingerprint_of(first) != fingerprint_of(second)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a model of kind 'bert', which does not embed both"):
        open_embedder(str(tmp_path))
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ValueError, match="is a file, not a model that searches"):
        open_embedder(str(tmp_path / "weights.pth"))


def test_a_name_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="cannot be opened"):
        open_embedder(str(tmp_path))
    for name in ("internimage_t_1k_224", "not a name / at all", "no/such/folder"):
        with pytest.raises(ValueError, match="no model that searches has the name"):
            open_embedder(name)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"intern25\[hf\]"):
        open_embedder(str(tmp_path))


class TwoTowers(nn.Module):
    """What open_clip's models have."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.words = nn.Linear(3, 4), nn.Embedding(300, 4)

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.picture(images.mean(dim=(2, 3)))

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.words(tokens).mean(dim=1)


def test_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, asked = TwoTowers(), []

    def create(name: str, pretrained: str | None) -> tuple[nn.Module, None, Callable[[Any], torch.Tensor]]:
        asked.append((name, pretrained))
        return (
            model,
            None,
            lambda image: torch.tensor(np.asarray(image.resize((8, 8)))).permute(2, 0, 1) / 255,
        )

    def tokenizer(name: str) -> Callable[[list[str]], torch.Tensor]:
        return lambda texts: torch.tensor([[ord(text[0]) % 300] * 5 for text in texts])

    library = SimpleNamespace(create_model_and_transforms=create, get_tokenizer=tokenizer)
    monkeypatch.setitem(sys.modules, "open_clip", library)
    embedder = open_embedder("open_clip:ViT-B-32/laion2b", device="cpu")
    open_embedder("open_clip:hf-hub:someone/model", device="cpu")
    open_embedder("open_clip:ViT-B-32//weights/a.pt", device="cpu")
    assert asked == [("ViT-B-32", "laion2b"), ("hf-hub:someone/model", None), ("ViT-B-32", "/weights/a.pt")]
    assert embedder.dimension == 4
    white = torch.nn.functional.normalize(model.picture(torch.ones(1, 3))).detach().numpy()
    np.testing.assert_allclose(embedder.embed_images([np.full((9, 5, 3), 255, np.uint8)]), white, atol=1e-6)
    word = torch.nn.functional.normalize(model.words.weight[ord("b")][None]).detach().numpy()
    np.testing.assert_allclose(embedder.embed_texts(["bus"]), word, atol=1e-6)
    with pytest.raises(ValueError, match="names no weights"):
        open_embedder("open_clip:ViT-B-32")


def test_open_clip_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match="pip install open_clip_torch"):
        open_embedder("open_clip:ViT-B-32/laion2b")
