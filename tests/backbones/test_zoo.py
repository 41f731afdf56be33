# SPDX-License-Identifier: MIT
"""Properties every model of the catalog has; sizes on the meta device, behaviour on the small ones."""

from __future__ import annotations

import dataclasses
import hashlib
import resource
import time
from typing import Any

import pytest
import torch
from torch import nn

from intern25.backbones.classifier import InternImageClassifier, num_parameters
from intern25.backbones.internimage import INTERNIMAGE_NANO, InternImage, InternImageConfig
from intern25.weights.architectures import BACKBONES
from intern25.weights.card import ModelCard
from intern25.weights.cards_classification import CLASSIFICATION
from intern25.weights.create import create_model
from tests.weights.samples import TINY, VARIANTS

PARAMETERS_1K = {
    # Exact counts of the official code, which the paper's table rounds.
    "internimage_t": 29_918_424,
    "internimage_s": 50_079_880,
    "internimage_b": 97_461_832,
    "internimage_l": 223_334_810,
    "internimage_xl": 334_819_780,
    "internimage_h": 1_089_636_760,
    "internimage_g": 3_076_373_352,
}
PARAMETERS_22K = {
    "internimage_l": 263_370_371,
    "internimage_xl": 382_858_285,
    "internimage_h": 1_105_663_489,
    "internimage_g": 3_092_400_081,
}
PARAMETERS_BACKBONE = {
    "internimage_t": 28_754_672,
    "internimage_s": 48_502_560,
    "internimage_b": 94_909_920,
    "internimage_l": 218_952_370,
    "internimage_xl": 328_971_228,
    "internimage_h": 1_073_122_480,
    "internimage_g": 3_052_781_184,
}
STATE_DICT_DIGESTS = {
    # Names and shapes of saved files; a change here breaks every file a user has saved.
    "internimage_nano": "770aa9f50ec58813",
    "internimage_t": "7ecd8871992d8e5c",
    "internimage_s": "3928c2336a9246ba",
    "internimage_h": "40bc04eeff3f84f4",
    "internimage_g": "6b2ce3c2dbda1ff6",
}


@pytest.mark.parametrize("card", CLASSIFICATION, ids=lambda card: card.id)
def test_catalog_builds_with_the_published_size(card: ModelCard) -> None:
    model = create_model(card.id, device="meta")
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    if card.source == "hub" and card.head == "classifier":
        table = PARAMETERS_1K if card.num_classes == 1000 else PARAMETERS_22K
        assert num_parameters(model) == table[card.architecture]


@pytest.mark.parametrize("name", PARAMETERS_BACKBONE)
def test_backbone_size(name: str) -> None:
    model = create_model(name, features_only=True, device="meta")
    assert num_parameters(model) == PARAMETERS_BACKBONE[name]


def test_giant_builds_in_seconds_and_without_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    create_model("internimage_g", device="meta")
    # 12 GB of parameters took minutes to initialise; generous, for a busy machine.
    assert time.perf_counter() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("name", STATE_DICT_DIGESTS)
def test_names_in_saved_files_do_not_change(name: str) -> None:
    state = create_model(name, device="meta").state_dict()
    text = "\n".join(f"{key} {tuple(tensor.shape)}" for key, tensor in sorted(state.items()))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == STATE_DICT_DIGESTS[name]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_gradient(variant: str) -> None:
    model = InternImageClassifier(VARIANTS[variant], 5)
    # At its first step the operator's offsets and gates are zero, and so may be their gradients' sources.
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".offset.", ".mask.", ".center_feature_scale.", ".scale")):
            nn.init.normal_(parameter, std=0.5)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A key's bias shifts all scores of a query alike, which softmax ignores.
        if not name.endswith("pool.key.bias"):
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_checkpointing_changes_nothing(variant: str) -> None:
    config = dataclasses.replace(VARIANTS[variant], drop_path=0.5)
    model = InternImageClassifier(config, 5).double()
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    results = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        # The same paths must be dropped again in the recomputation.
        torch.manual_seed(3)
        model(x).square().sum().backward()
        results.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert results[0].keys() == results[1].keys()
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 97), (64, 64), (224, 160)])
@pytest.mark.parametrize("name", ["internimage_nano", "internimage_t", "internimage_h"])
def test_map_shapes_are_what_feature_info_says(name: str, size: tuple[int, int]) -> None:
    model = create_model(name, features_only=True, out_indices=(0, 2, 3), device="meta")
    maps = model(torch.empty(2, 3, *size, device="meta"))
    info = model.feature_info
    for out, channels, stride in zip(maps, info.channels(), info.reduction(), strict=True):
        assert out.shape == (2, channels, *(-(-side // stride) for side in size))
    assert [entry["num_chs"] for entry in info.get_dicts()] == info.channels()


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 50), (40, 200)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    """A picture alone and in a batch gives the same, at any size."""
    model = create_model("internimage_nano", num_classes=4).eval()
    x = torch.randn(3, 3, *size)
    with torch.inference_mode():
        together, alone = model(x), torch.cat([model(image[None]) for image in x])
    assert together.shape == (3, 4)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_attention_pooling_wants_multiples_of_32() -> None:
    model = InternImageClassifier(VARIANTS["res_post"], 4)
    with pytest.raises(ValueError, match="multiples of 32"):
        model(torch.zeros(1, 3, 48, 64))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 32, 32, 3)])
def test_wrong_input_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        InternImage(TINY)(torch.zeros(shape))


@pytest.mark.parametrize("variant", ["pre", "res_post"])
def test_reset_classifier(variant: str) -> None:
    model = InternImageClassifier(VARIANTS[variant], 9).double()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    assert model(x).shape == (2, 9)
    model.reset_classifier(4)
    assert model(x).shape == (2, 4)
    assert isinstance(model.get_classifier(), nn.Linear)
    model.reset_classifier(0)
    pooled = model.eval()(x)
    assert pooled.shape == (2, model.num_features)
    torch.testing.assert_close(pooled, model.forward_head(model.forward_features(x), pre_logits=True))
    with pytest.raises(ValueError, match="-1"):
        model.reset_classifier(-1)


def test_initial_values_are_the_official_ones() -> None:
    model = InternImageClassifier(dataclasses.replace(TINY, layer_scale=1e-5, center_feature_scale=True), 10)
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".offset.", ".mask.", ".center_feature_scale.")) or (
            name.endswith("bias") and "conv" not in name
        ):
            assert torch.count_nonzero(parameter) == 0, name
        elif "norm" in name:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        elif name.endswith(".scale"):
            assert torch.equal(parameter, torch.full_like(parameter, 1e-5)), name
        elif ".mlp." in name or name == "classifier.weight":
            # Normal of deviation 0.02, cut at 2 (100 deviations): as good as uncut.
            assert parameter.std().item() == pytest.approx(0.02, rel=0.2), name
            assert abs(parameter.mean().item()) < 3e-3, name


def test_drop_path_drops_whole_samples() -> None:
    """In training a sample's branch is either left out or scaled by 1 / (1 - rate); never in evaluation."""
    from intern25.backbones.internimage import DropPath

    layer = DropPath(0.25)
    shortcut, x = torch.full((4000, 2, 2, 3), 7.0), torch.ones(4000, 2, 2, 3)
    assert torch.equal(layer.eval()(shortcut, x), shortcut + x)
    y = layer.train()(torch.zeros_like(x), x)
    kept = y[:, 0, 0, 0] > 0
    assert torch.equal(y[kept], x[kept] / 0.75)
    assert torch.count_nonzero(y[~kept]) == 0
    # Four deviations of a binomial with 4000 draws.
    assert abs(kept.float().mean().item() - 0.75) < 4 * (0.75 * 0.25 / 4000) ** 0.5
    sums = layer(shortcut, x)[:, 0, 0, 0]
    assert set(sums.tolist()) == {7.0, (torch.tensor(7.0) + 1 / torch.tensor(0.75)).item()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"groups": (3, 4, 8, 16)}, "groups=3 does not divide"),
        ({"depths": (1, 1, 1)}, "four stages"),
        ({"block_norm": "res_post", "layer_scale": 1.0}, "layer_scale"),
        ({"extra_norm_blocks": (9,)}, "third stage"),
    ],
)
def test_impossible_configs(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(INTERNIMAGE_NANO, **change)


@pytest.mark.parametrize("name", BACKBONES)
def test_configs_survive_json(name: str) -> None:
    import json

    config = BACKBONES[name]
    assert InternImageConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize("variant", ["pre", "res_post"])
def test_export_gives_the_same_numbers(variant: str) -> None:
    model = InternImageClassifier(VARIANTS[variant], 5).eval()
    x = torch.randn(2, 3, 64, 96)
    program = torch.export.export(model, (x,))
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(x), model(x), rtol=1e-4, atol=1e-5)


def test_compile_gives_the_same_numbers() -> None:
    model = InternImageClassifier(TINY, 5).eval()
    x = torch.randn(2, 3, 64, 64)
    # The eager backend checks that the whole graph is captured; code generation is PyTorch's matter.
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)


def test_half_types_stay_close() -> None:
    model = create_model("internimage_nano", num_classes=5).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        want = model.forward_features(x)
        got = model.bfloat16().forward_features(x.bfloat16())
    for exact, rounded in zip(want, got, strict=True):
        assert rounded.dtype == torch.bfloat16
        # 8 bits of mantissa over tens of layers: a few percent of the map's deviation.
        assert (rounded.float() - exact).std() < 0.05 * exact.std()
