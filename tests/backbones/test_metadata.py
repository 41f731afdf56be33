# SPDX-License-Identifier: MIT
"""The classifier that reads month and place."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.metadata import InternImageMetaClassifier, MetadataBranch, encode_metadata
from tests.weights.samples import TINY


@pytest.fixture
def model() -> InternImageMetaClassifier:
    return InternImageMetaClassifier(TINY, 6).eval().double()


def test_encoding_by_hand() -> None:
    # Oslo in June: 6/12 of the circle is the opposite of December; 59.91 N, 10.75 E.
    got = encode_metadata(month=6, latitude=59.91, longitude=10.75)
    want = [0.0, -1.0, 0.0, 0.0, 0.49256, 0.09352, 0.86524]
    torch.testing.assert_close(got, torch.tensor(want), rtol=0, atol=2e-5)


def test_places_lie_on_the_unit_sphere() -> None:
    for latitude in range(-90, 91, 30):
        for longitude in range(-180, 181, 45):
            place = encode_metadata(latitude=float(latitude), longitude=float(longitude))[4:]
            assert place.norm().item() == pytest.approx(1.0, abs=1e-6)
    north, south = (encode_metadata(latitude=side, longitude=12.0)[4:] for side in (90.0, -90.0))
    torch.testing.assert_close(north, -south, rtol=0, atol=1e-6)


def test_unknown_is_zero() -> None:
    assert torch.count_nonzero(encode_metadata()) == 0
    assert torch.count_nonzero(encode_metadata(month=1)[4:]) == 0
    assert torch.count_nonzero(encode_metadata(latitude=0.0, longitude=0.0)) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"month": 0}, "month=0"),
        ({"month": 13}, "month=13"),
        ({"latitude": 1.0}, "give both"),
        ({"latitude": 91.0, "longitude": 0.0}, "latitude=91"),
        ({"latitude": 0.0, "longitude": 181.0}, "longitude=181"),
    ],
)
def test_impossible_metadata(values: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_metadata(**values)  # type: ignore[arg-type]


def test_branch_by_hand() -> None:
    """Linear, ReLU, norm; then w1, ReLU, norm, w2, ReLU, norm, plus the input of the pair."""
    branch = MetadataBranch(4).double()
    x = torch.randn(3, 4, dtype=torch.float64)

    def norm(values: torch.Tensor) -> torch.Tensor:
        centred = values - values.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    start = norm(F.linear(x, branch.projection.weight, branch.projection.bias).clamp(min=0))
    inner = norm(F.linear(start, branch.linear1.weight, branch.linear1.bias).clamp(min=0))
    want = start + norm(F.linear(inner, branch.linear2.weight, branch.linear2.bias).clamp(min=0))
    torch.testing.assert_close(branch(x), want)


def test_logits_are_a_sum_of_image_and_metadata(model: InternImageMetaClassifier) -> None:
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    june = encode_metadata(month=6, latitude=60.0, longitude=10.0).expand(2, 7)
    january = encode_metadata(month=1, latitude=-30.0, longitude=150.0).expand(2, 7)
    with torch.inference_mode():
        image = InternImageClassifier.forward(model, x)
        shift_june, shift_january = model(x, june) - image, model(x, january) - image
    # The same month and place shift both pictures alike; another one shifts them otherwise.
    torch.testing.assert_close(shift_june[0], shift_june[1])
    assert not torch.allclose(shift_june, shift_january)
    assert model(x, june.float()).dtype == torch.float64


def test_nothing_known_is_the_zero_row(model: InternImageMetaClassifier) -> None:
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(model(x), model(x, torch.zeros(2, 7)))


def test_one_row_per_image(model: InternImageMetaClassifier) -> None:
    with pytest.raises(ValueError, match=r"\(3, 7\).*expected \(2, 7\)"):
        model(torch.zeros(2, 3, 64, 64).double(), torch.zeros(3, 7))


def test_reset(model: InternImageMetaClassifier) -> None:
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    model.reset_classifier(3)
    assert model(x).shape == (1, 3)
    model.reset_classifier(0)
    assert model(x).shape == (1, model.num_features)
    assert math.isclose(model(x).sum().item(), model(x, torch.ones(1, 7)).sum().item())


def test_norm_constants() -> None:
    """As in the official code: PyTorch's 1e-5 in the branches, 1e-6 in front of the last layer."""
    model = InternImageMetaClassifier(TINY, 2)
    assert model.metadata_norm.eps == 1e-6
    assert {model.temporal.norm.eps, model.spatial.norm1.eps, model.temporal.norm2.eps} == {1e-5}
