# SPDX-License-Identifier: MIT
"""The official code's outputs, names, shapes, counts and drop-path rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from intern25.backbones.flops import count_macs
from intern25.weights.adapters.official import name_table
from intern25.weights.architectures import BACKBONES
from intern25.weights.layouts import from_ours
from intern25.weights.matching import blueprint_of
from tests.backbones.golden import (
    LOCAL,
    config_of,
    golden_model,
    input_of,
    meta_model,
    read_manifest,
    record,
    sliced,
)

MANIFESTS = ["t", "s", "b", "l", "xl", "h", "g", "small_h", "small_g", "small_l", "small_rc", "small_bn"]
HUGGING_FACE = ["hf_t", "hf_l", "hf_h"]
PUBLISHED = ["t", "s", "b", "l", "xl", "h", "g"]

# Float64 differs from the files by their float32 rounding only. In float32 the official code itself differs
# from its float64 run by up to these shares of a map's standard deviation; post-norm models amplify rounding.
FLOAT64 = {"features": (2e-6, 2e-6), "logits": 2e-6}
FLOAT32_SHARE = {True: 3e-4, False: 5e-5}
FLOAT32_LOGITS = 1e-4


def check_case(case: dict[str, Any], arrays: Any, outputs: dict[str, torch.Tensor], *, is_post: bool) -> None:
    exact = outputs["logits"].dtype == torch.float64
    for name, facts in case["features"].items():
        full = outputs[name].double()
        assert list(full.shape) == facts["shape"], name
        got = sliced(full, facts.get("slice"))
        want = torch.from_numpy(arrays[f"{case['name']}/{name}"]).double()
        if name == "logits":
            tolerance = {"rtol": 0.0, "atol": FLOAT64["logits"] if exact else FLOAT32_LOGITS}
        elif exact:
            tolerance = dict(zip(("rtol", "atol"), FLOAT64["features"], strict=True))
        else:
            tolerance = {"rtol": 0.0, "atol": FLOAT32_SHARE[is_post] * facts["std"]}
        torch.testing.assert_close(got, want, **tolerance, msg=lambda text, name=name: f"{name}: {text}")
        # The slice is a sample; these cover every element.
        assert full.std().item() == pytest.approx(facts["std"], rel=1e-5 if exact else 1e-3), name
        assert full.abs().max().item() == pytest.approx(facts["absmax"], rel=1e-5 if exact else 1e-3), name
    if "top5" in case:
        assert outputs["logits"].topk(5).indices.tolist() == case["top5"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_packaged_golden(dtype: torch.dtype) -> None:
    check_model(LOCAL, "small_l", dtype)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["small_h", "small_g", "t"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_outputs(shared_root: Path, name: str, dtype: torch.dtype) -> None:
    check_model(shared_root / "goldens" / "cls", name, dtype)


def check_model(folder: Path, name: str, dtype: torch.dtype) -> None:
    manifest, arrays = read_manifest(folder, name), np.load(folder / f"{name}.npz")
    model = golden_model(manifest, dtype)
    for case in manifest["cases"]:
        outputs = record(model, input_of(case, dtype))
        check_case(case, arrays, outputs, is_post=model.config.block_norm == "post")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["hf_t", pytest.param("hf_h", marks=pytest.mark.slow)])
def test_hugging_face_outputs(shared_root: Path, name: str) -> None:
    """H runs in float32 only: in float64 it would need 9 GB."""
    folder = shared_root / "goldens" / "cls"
    manifest, arrays = read_manifest(folder, name), np.load(folder / f"{name}.npz")
    dtype = torch.float64 if name == "hf_t" else torch.float32
    model = golden_model(manifest, dtype)
    for case in manifest["cases"]:
        # Stage 0 has a stride of 4, so its size gives back the input's.
        batch, _, height, width = case["hidden_states"][0]["shape"]
        case["input_shape"] = [batch, 3, 4 * height, 4 * width]
        outputs = record(model, input_of(case, dtype))
        atol = FLOAT64["logits"] if dtype == torch.float64 else FLOAT32_LOGITS
        want = torch.from_numpy(arrays[f"{case['name']}/logits"]).to(dtype)
        torch.testing.assert_close(outputs["logits"], want, rtol=0, atol=atol)
        for stage, facts in enumerate(case["hidden_states"]):
            assert outputs[f"stage{stage}"].std().item() == pytest.approx(facts["std"], rel=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize("name", MANIFESTS)
def test_names_shapes_and_counts(shared_root: Path, name: str) -> None:
    manifest = read_manifest(shared_root / "goldens" / "cls", name)
    model = meta_model(manifest)
    official = from_ours(model.state_dict(), "official", blueprint_of(model))
    assert {key: list(tensor.shape) for key, tensor in official.items()} == {
        key: shape for key, shape, _ in manifest["tensors"]
    }
    assert sum(parameter.numel() for parameter in model.parameters()) == manifest["n_params"]
    assert sum(buffer.numel() for buffer in model.buffers()) == manifest["n_buffers"]


@pytest.mark.shared
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_face_names_and_shapes(shared_root: Path, name: str) -> None:
    manifest = read_manifest(shared_root / "goldens" / "cls", name)
    model = meta_model(manifest)
    renamed = from_ours(model.state_dict(), "hugging_face", blueprint_of(model))
    assert {key: list(tensor.shape) for key, tensor in renamed.items()} == {
        key: shape for key, shape, _ in manifest["tensors"]
    }


@pytest.mark.shared
@pytest.mark.parametrize("name", ["cls_T", "cls_H"])
def test_names_and_shapes_of_the_specification(shared_root: Path, name: str) -> None:
    tables = json.loads((shared_root / "spec" / "internimage_tables.json").read_text())
    config = BACKBONES[f"internimage_{name[-1].lower()}"]
    table = name_table(config)
    for official in tables["state_dict_shapes"][name]:
        ours = table.to_ours(official)
        assert ours is not None, official
        assert table.to_official(ours) == official


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_config_is_the_official_one(shared_root: Path, name: str) -> None:
    manifest = read_manifest(shared_root / "goldens" / "cls", name)
    assert config_of(manifest) == BACKBONES[f"internimage_{name}"]


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_at_the_published_resolution(shared_root: Path, name: str) -> None:
    manifest = read_manifest(shared_root / "goldens" / "cls", name)
    count = count_macs(meta_model(manifest), manifest["published"]["resolution"])
    want = manifest["macs_at_published_resolution"]
    assert (count.conv, count.linear, count.dcn, count.attention, count.total) == tuple(
        want[key] for key in ("conv", "linear", "dcn_op_5nkc", "attn", "total")
    )
    # DCNv3 is 8 operations per tap and channel in truth, 5 by the authors: the rest is two per multiply-add.
    assert count.flops == 2 * (count.total - count.dcn) + count.dcn // 5 * 8


@pytest.mark.shared
@pytest.mark.parametrize("name", ["t", "l"])
def test_drop_path_rates(shared_root: Path, name: str) -> None:
    groups = json.loads((shared_root / "goldens" / "train" / f"param_groups_cls_{name}.json").read_text())
    model = meta_model(read_manifest(shared_root / "goldens" / "cls", name))
    rates = {
        f"levels.{i}.blocks.{j}.drop_path": (block.dcn.drop_path.rate, block.mlp.drop_path.rate)
        for i, stage in enumerate(model.backbone.stages)
        for j, block in enumerate(stage.blocks)
    }
    assert rates.pop("levels.0.blocks.0.drop_path") == (0.0, 0.0)
    assert rates.keys() == dict(groups["drop_path"]).keys()
    for key, rate in groups["drop_path"]:
        # The official rates are float32 linspace values.
        assert rates[key] == pytest.approx((rate, rate), rel=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["small_rc", "small_bn"])
def test_variants_without_golden_outputs_run(shared_root: Path, name: str) -> None:
    """Their outputs are not at hand; the run must at least depend on the input and stay finite."""
    model = golden_model(read_manifest(shared_root / "goldens" / "cls", name), torch.float64)
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        logits = model(x)
    assert torch.isfinite(logits).all()
    assert not torch.allclose(logits[0], logits[1])
    torch.testing.assert_close(logits[:1], model(x[:1]), rtol=1e-9, atol=1e-9)
