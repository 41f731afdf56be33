# SPDX-License-Identifier: MIT
"""Outputs of the official segmenters, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intern25.segmentation.inference import segment
from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.segmenter import Segmenter
from intern25.segmentation.upernet import UperNet
from tests.segmentation.golden import Golden, golden_input, golden_model, read_manifest

pytestmark = pytest.mark.shared

# Tolerances of the goldens' README for float64.
FEATURE, LOGIT, PROBABILITY = 2e-6, 5e-6, 1e-6


def recorded(model: Segmenter, modules: dict[str, nn.Module], x: Tensor) -> dict[str, Tensor]:
    outputs: dict[str, Any] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output))
        for name, module in {"backbone": model.backbone, **modules}.items()
    ]
    with torch.inference_mode():
        outputs["logits_full"] = model(x)
    for handle in handles:
        handle.remove()
    return {**{f"backbone{i}": level for i, level in enumerate(outputs.pop("backbone"))}, **outputs}


def check_classes(actual: Tensor, golden: Golden, key: str = "argmax") -> None:
    """The same class wherever the two best differ by more than the tolerance."""
    found, expected = actual.argmax(1).numpy(), golden.arrays[key]
    if f"{key}_margin" in golden.arrays:
        clear = golden.arrays[f"{key}_margin"] > 2 * PROBABILITY
        assert clear.mean() > 0.99
    else:
        best = actual.topk(2, dim=1).values
        clear = (best[:, 0] - best[:, 1]).numpy() > 2 * PROBABILITY
    np.testing.assert_array_equal(found[clear], expected[clear])


@pytest.fixture(scope="module")
def upernet(shared_root: Path) -> UperNet:
    model = golden_model(shared_root, "upernet_t")
    assert isinstance(model, UperNet)
    return model


@pytest.fixture(scope="module")
def mask2former(shared_root: Path) -> Mask2Former:
    model = golden_model(shared_root, "mask2former_small")
    assert isinstance(model, Mask2Former)
    return model


def test_upernet(upernet: UperNet, shared_root: Path) -> None:
    golden, x = Golden(shared_root, "upernet_t"), golden_input("upernet_t")
    head = upernet.decode_head
    modules = {
        "head_ppm": head.pyramid_pooling,
        "head_fb": head.classifier.dropout,
        "decode_logits": head,
    }
    outputs = recorded(upernet, modules, x)
    for level in range(4):
        golden.check(f"backbone{level}", outputs[f"backbone{level}"], FEATURE)
    for name in (*modules, "logits_full"):
        golden.check(name, outputs[name], LOGIT)
    with torch.inference_mode():
        golden.check("aux_logits", upernet.auxiliary_head(outputs["backbone2"]), LOGIT)
    probability = segment(upernet, x)
    golden.check("prob_full", probability, PROBABILITY)
    check_classes(probability, golden)


def test_upernet_losses(upernet: UperNet, shared_root: Path) -> None:
    manifest, x = read_manifest(shared_root, "upernet_t_extra"), golden_input("upernet_t")
    y, column = torch.meshgrid(torch.arange(128), torch.arange(160), indexing="ij")
    labels = (y // 16 * 10 + column // 16) % 150
    labels[40:52] = 255
    with torch.inference_mode():
        losses = upernet(x, labels[None])
    assert set(losses) == {"loss_ce", "loss_auxiliary_ce"}
    assert losses["loss_ce"].item() == pytest.approx(manifest["decode"]["loss_ce"], rel=1e-5)
    assert losses["loss_auxiliary_ce"].item() == pytest.approx(manifest["aux"]["loss_ce"], rel=1e-5)


@pytest.mark.parametrize(
    ("key", "steps", "options"),
    [
        ("slide", 8, {"mode": "slide", "crop": (96, 96), "stride": (64, 64)}),
        ("slide_rescaled", None, {"mode": "slide", "crop": 96, "stride": 64, "original_sizes": [(200, 251)]}),
        ("whole_rescaled", 8, {"original_sizes": [(200, 251)]}),
    ],
)
def test_upernet_inference(
    key: str, steps: int | None, options: dict[str, Any], upernet: UperNet, shared_root: Path
) -> None:
    golden, x = np.load(shared_root / "goldens" / "seg" / "upernet_t_extra.npz"), golden_input("upernet_t")
    probability = segment(upernet, x, **options)
    if steps is not None:
        found = probability[:, ::10, ::steps, ::steps].numpy()
        np.testing.assert_allclose(found, golden[f"{key}_prob"], atol=PROBABILITY, rtol=0)
    best = probability.topk(2, dim=1)
    clear = (best.values[:, 0] - best.values[:, 1]).numpy() > 2 * PROBABILITY
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(best.indices[:, 0].numpy()[clear], golden[f"{key}_argmax"][clear])


def test_upernet_flipped(upernet: UperNet, shared_root: Path) -> None:
    """With ``flip`` the result is the mean of both views, so twice it minus one view is the other."""
    golden, x = np.load(shared_root / "goldens" / "seg" / "upernet_t_extra.npz"), golden_input("upernet_t")
    flipped = 2 * segment(upernet, x, flip=True) - segment(upernet, x)
    found = flipped[:, ::10, ::8, ::8].numpy()
    np.testing.assert_allclose(found, golden["flip_prob"], atol=2 * PROBABILITY, rtol=0)


def test_mask2former(mask2former: Mask2Former, shared_root: Path) -> None:
    golden, x = Golden(shared_root, "mask2former_small"), golden_input("mask2former_small")
    outputs = recorded(mask2former, {"pixel": mask2former.pixel_decoder, "decoder": mask2former.decoder}, x)
    for level in range(4):
        golden.check(f"backbone{level}", outputs[f"backbone{level}"], FEATURE)
    mask_features, levels = outputs["pixel"]
    golden.check("pixel_decoder_mask_feature", mask_features, LOGIT)
    for index, level in enumerate(levels):
        golden.check(f"pixel_decoder_level{index}", level, LOGIT)
    with torch.inference_mode():
        predictions = mask2former.decoder(mask_features, levels, every_layer=True)
    assert len(predictions) == 10
    for place, index in (("first", 0), ("last", -1)):
        # 3.6 times the float32 difference recorded with the golden, over 10 layers with hard masks.
        golden.check(f"query_cls_{place}", predictions[index].class_logits, LOGIT)
        golden.check(f"query_masks_{place}", predictions[index].mask_logits, LOGIT)
    golden.check("logits_full", outputs["logits_full"], LOGIT)
    probability = segment(mask2former, x)
    golden.check("prob_full", probability, PROBABILITY)
    check_classes(probability, golden)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segformer_l_city", "mask2former_h"])
def test_large_models(name: str, shared_root: Path) -> None:
    if not (shared_root / "goldens" / "seg" / f"{name}.npz").exists():
        pytest.skip(f"the outputs of {name} are not in the reference data")
    golden, x = Golden(shared_root, name), golden_input(name)
    model = golden_model(shared_root, name)
    with torch.inference_mode():
        golden.check("logits_full", model(x), LOGIT)
    probability = segment(model, x)
    golden.check("prob_full", probability, PROBABILITY)
    check_classes(probability, golden)
