# SPDX-License-Identifier: MIT
"""From a name or a path and any picture to a result."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import intern25
from intern25.data.class_names import ClassNames
from intern25.data.images import ImageReadError, read_image
from intern25.data.preprocessing import Preprocessing
from intern25.predictors import ClassificationPredictor, load
from intern25.results import Classification
from intern25.weights.convert import convert
from intern25.weights.files import save_model
from tests.small_model import CLASSES, IMAGE_SIZE, save_small_model, small_classifier


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture(scope="module")
def predictor(weights: Path) -> ClassificationPredictor:
    return load(weights, device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (40 + 9 * i, 90 - 5 * i, 3), dtype=np.uint8) for i in range(8)]


def by_hand(picture: np.ndarray) -> torch.Tensor:
    """Probabilities without predictor, optimize or batches."""
    with torch.no_grad():
        logits = small_classifier()(Preprocessing(IMAGE_SIZE)(Image.fromarray(picture))[None])
    result: torch.Tensor = logits.softmax(dim=1)[0]
    return result


def test_scores_and_names_are_those_of_the_model(
    predictor: ClassificationPredictor, pictures: list[np.ndarray]
) -> None:
    expected = by_hand(pictures[0])
    result = predictor.predict(pictures[0], top_k=6)
    order = expected.argsort(descending=True)
    assert result.indices.tolist() == order.tolist()
    # The optimised graph rounds differently: float32 after some twenty layers.
    assert np.allclose(result.scores, expected[order].numpy(), atol=1e-5)
    assert result.names_en == tuple(CLASSES.en[i] for i in order)
    assert result.names_zh == tuple(CLASSES.zh[i] for i in order)
    assert result.image is not None
    assert np.array_equal(np.asarray(result.image), pictures[0])


def test_a_list_comes_back_for_a_list(predictor: ClassificationPredictor, pictures: list[np.ndarray]) -> None:
    assert isinstance(predictor.predict(pictures[0]), Classification)
    assert [len(result) for result in predictor.predict(pictures[:1], top_k=2)] == [2]
    assert [len(result) for result in predictor.predict(tuple(pictures[:2]))] == [5, 5]
    assert predictor.predict([]) == []


@pytest.mark.parametrize("batch_size", [1, 2, 8, 100])
def test_a_picture_does_not_feel_its_batch(
    predictor: ClassificationPredictor, pictures: list[np.ndarray], batch_size: int
) -> None:
    together = predictor.predict(pictures, top_k=6, batch_size=batch_size)
    for picture, result in zip(pictures, together, strict=True):
        alone = predictor.predict(picture, top_k=6)
        assert alone.indices.tolist() == result.indices.tolist()
        # Matrix products of another height may add in another order.
        assert np.allclose(alone.scores, result.scores, atol=1e-6)


def test_mixed_sources(
    predictor: ClassificationPredictor, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pictures[0]).save(path)
    tensor = torch.from_numpy(pictures[0]).permute(2, 0, 1)
    results = predictor.predict([path, str(path), path.read_bytes(), read_image(path), pictures[0], tensor])
    assert len({result.top(3).to_json().partition("predictions")[2] for result in results}) == 1
    assert [result.source for result in results] == [str(path), str(path), None, None, None, None]


def test_a_bad_picture_is_named(predictor: ClassificationPredictor, tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8 not really")
    with pytest.raises(ImageReadError, match=r"broken\.jpg"):
        predictor.predict([np.zeros((5, 5, 3), dtype=np.uint8), path])


def test_the_same_model_through_every_layout(
    weights: Path, predictor: ClassificationPredictor, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    """Official and Hugging Face files carry no class names; the numbers are the same."""
    nano = intern25.create_model("internimage_nano", num_classes=6).eval()
    own = tmp_path / "nano.safetensors"
    save_model(own, nano, preprocessing=Preprocessing(IMAGE_SIZE))
    convert(own, tmp_path / "nano.pth", layout="official")
    convert(own, tmp_path / "folder", layout="hugging_face")
    expected = load(own, optimize=False).predict(pictures[0])
    assert expected.names_zh[0].startswith("类别")
    folder = load(tmp_path / "folder", optimize=False).predict(pictures[0])
    assert np.array_equal(folder.scores, expected.scores)
    official = load(tmp_path / "nano.pth", optimize=False)
    assert torch.equal(official.model.classifier.weight, nano.classifier.weight)  # type: ignore[union-attr]


def test_a_file_that_does_not_describe_itself_says_what_is_assumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = intern25.create_model("internimage_nano", num_classes=4)
    torch.save({"model": model.state_dict()}, tmp_path / "own.pth")
    with caplog.at_level(logging.WARNING, "intern25"):
        predictor = load(tmp_path / "own.pth", optimize=False)
    assert "does not say how to prepare pictures" in caplog.text
    assert predictor.classes.en == ("class 0", "class 1", "class 2", "class 3")


def test_published_files_get_their_names_by_file_name_and_size(tmp_path: Path) -> None:
    model = intern25.create_model("internimage_t")
    torch.save({"model": model.state_dict()}, tmp_path / "internimage_t_1k_224.pth")
    predictor = load(tmp_path / "internimage_t_1k_224.pth", optimize=False)
    assert predictor.preprocessing == Preprocessing(224)
    assert predictor.classes.en[1] == "goldfish"
    assert predictor.classes.zh[1] == "金鱼"


def test_a_backbone_is_refused(tmp_path: Path) -> None:
    backbone = intern25.create_model("internimage_nano", features_only=True)
    save_model(tmp_path / "backbone.safetensors", backbone)
    with pytest.raises(ValueError, match="without a classification head"):
        load(tmp_path / "backbone.safetensors")


def test_nan_weights_are_refused(pictures: list[np.ndarray]) -> None:
    model = small_classifier()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    predictor = ClassificationPredictor(model, Preprocessing(IMAGE_SIZE), CLASSES)
    with pytest.raises(ValueError, match="NaN"):
        predictor.predict(pictures[0])


@pytest.mark.parametrize(
    ("arguments", "error", "shown"),
    [
        ({"name_or_path": "internimage_q"}, ValueError, "did you mean"),
        ({"name_or_path": "no/such/file.safetensors"}, FileNotFoundError, "no weights at"),
        ({"device": "tpu"}, ValueError, "no device"),
        ({"device": "cuda:7"}, ValueError, "not on this machine"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, object], error: type[Exception], shown: str, weights: Path
) -> None:
    with pytest.raises(error, match=shown):
        load(**{"name_or_path": weights, **arguments})  # type: ignore[arg-type]


def test_wrong_calls(predictor: ClassificationPredictor, pictures: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="top_k=0"):
        predictor.predict(pictures[0], top_k=0)
    with pytest.raises(ValueError, match="batch_size=-1"):
        predictor.predict(pictures, batch_size=-1)
    with pytest.raises(ValueError, match=r"6 outputs .* 1 class names"):
        ClassificationPredictor(small_classifier(), Preprocessing(48), ClassNames(en=("a",), zh=("甲",)))
    assert len(predictor.predict(pictures[0], top_k=1000)) == len(CLASSES)


def test_any_module_can_be_given() -> None:
    """A predictor needs logits and nothing else of the model."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    predictor = ClassificationPredictor(model, Preprocessing(8), ClassNames(en=("a", "b"), zh=("甲", "乙")))
    assert len(predictor.predict(np.zeros((9, 9, 3), dtype=np.uint8))) == 2
