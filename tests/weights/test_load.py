# SPDX-License-Identifier: MIT
"""Every container, prefix and layout a checkpoint comes in, and every way one does not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.internimage import INTERNIMAGE_S, INTERNIMAGE_T, InternImage
from intern25.backbones.metadata import InternImageMetaClassifier
from intern25.data.class_names import imagenet_22k_to_1k
from intern25.weights.load import load_checkpoint
from tests.weights.samples import TINY, VARIANTS, classifier, noisy, same, tensors_of

CONTAINERS: dict[str, Any] = {
    "model": lambda t: {"model": t},
    "module": lambda t: {"module": t, "optimizer": {"state": {0: {"step": 3}}}, "global_steps": 7},
    "state_dict": lambda t: {"meta": {"CLASSES": ("a", "b"), "epoch": 3}, "state_dict": t},
    "model_ema": lambda t: {"model_ema": t, "epoch": 1},
    "bare": lambda t: t,
}
PREFIXES = ["", "module.", "model.", "module.model.", "_orig_mod.", "student.", "teacher."]


def fresh(config: Any = TINY, num_classes: int = 10) -> InternImageClassifier:
    return InternImageClassifier(config, num_classes)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_containers(tmp_path: Path, container: str, zipped: bool) -> None:
    source, target = classifier(), fresh()
    path = tmp_path / "weights.pth"
    torch.save(CONTAINERS[container](tensors_of(source)), path, _use_new_zipfile_serialization=zipped)
    report = load_checkpoint(target, path)
    assert same(source, target)
    assert report.is_complete
    assert len(report.loaded) == len(source.state_dict())
    assert report.layout == "official"
    if container != "bare":
        assert container in report.container


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("layout", ["official", "intern25"])
def test_prefixes(tmp_path: Path, prefix: str, layout: Any) -> None:
    source, target = classifier(), fresh()
    tensors = {prefix + name: tensor for name, tensor in tensors_of(source, layout).items()}
    torch.save({"model": tensors}, tmp_path / "w.pt")
    assert load_checkpoint(target, tmp_path / "w.pt").is_complete
    assert same(source, target)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layout", ["official", "intern25", "hugging_face"])
def test_variants_and_layouts(tmp_path: Path, variant: str, layout: Any) -> None:
    source, target = classifier(VARIANTS[variant]), fresh(VARIANTS[variant])
    save_file(tensors_of(source, layout), tmp_path / "w.safetensors")
    report = load_checkpoint(target, tmp_path / "w.safetensors")
    assert same(source, target)
    assert report.layout == layout


def test_averaged_weights_on_request(tmp_path: Path) -> None:
    raw, averaged, target = classifier(), classifier(), fresh()
    torch.save({"model": tensors_of(raw), "model_ema": tensors_of(averaged)}, tmp_path / "w.pth")
    load_checkpoint(target, tmp_path / "w.pth")
    assert same(raw, target)
    load_checkpoint(target, tmp_path / "w.pth", prefer_ema=True)
    assert same(averaged, target)


def test_teacher_is_the_average_of_student(tmp_path: Path) -> None:
    student, teacher, target = classifier(), classifier(), fresh()
    both = {f"student.{name}": tensor for name, tensor in tensors_of(student).items()}
    both |= {f"teacher.{name}": tensor for name, tensor in tensors_of(teacher).items()}
    torch.save({"model": both, "model_ema": both}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(student, target)
    assert len(report.ignored) == len(tensors_of(teacher))
    load_checkpoint(target, tmp_path / "w.pth", prefer_ema=True)
    assert same(teacher, target)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_averaged_weights(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save({"model": tensors_of(classifier())}, path)
    else:
        save_file(tensors_of(classifier()), path)
    with pytest.raises(ValueError, match=r"averaged weights.*drop prefer_ema"):
        load_checkpoint(fresh(), path, prefer_ema=True)


def test_detector_file_gives_its_backbone(tmp_path: Path) -> None:
    """mmdet: a backbone prefix, other parts, and copies of the averaging hook with underscores."""
    source = classifier()
    backbone = {
        f"backbone.{n}": t for n, t in tensors_of(source).items() if not n.startswith(("head", "conv_"))
    }
    extra = {"neck.lateral.weight": torch.zeros(1), "ema_backbone_levels_0_norm_0_weight": torch.zeros(1)}
    torch.save({"state_dict": backbone | extra}, tmp_path / "det.pth")
    target = InternImage(TINY)
    report = load_checkpoint(target, tmp_path / "det.pth")
    assert same(source.backbone, target)
    assert set(report.ignored) == set(extra)
    assert not report.missing
    assert not report.unexpected


def test_classifier_takes_a_backbone_file_and_keeps_its_head(tmp_path: Path) -> None:
    source, target = classifier(), fresh()
    before = {name: t.clone() for name, t in target.head.state_dict().items()}
    torch.save({"state_dict": source.backbone.state_dict()}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(source.backbone, target.backbone)
    assert all(torch.equal(before[name], t) for name, t in target.head.state_dict().items())
    assert {name.split(".")[0] for name in report.missing} == {"head", "classifier"}


def test_backbone_ignores_the_head(tmp_path: Path) -> None:
    source, target = classifier(), InternImage(TINY)
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(source.backbone, target)
    assert not report.unexpected
    assert "head.weight" in report.ignored


def test_module_with_a_backbone(tmp_path: Path) -> None:
    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = InternImage(TINY)
            self.decoder = nn.Linear(4, 4)

    source, target = classifier(), Segmenter()
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(source.backbone, target.backbone)
    assert set(report.missing) == {"decoder.weight", "decoder.bias"}


def test_other_models_are_refused(tmp_path: Path) -> None:
    torch.save({"model": tensors_of(classifier())}, tmp_path / "w.pth")
    with pytest.raises(TypeError, match="Linear"):
        load_checkpoint(nn.Linear(2, 2), tmp_path / "w.pth")


def test_hugging_face_folder_and_shards(tmp_path: Path) -> None:
    import json

    source = classifier(VARIANTS["post"])
    tensors = tensors_of(source, "hugging_face")
    names = list(tensors)
    for index in range(2):
        save_file({n: tensors[n] for n in names[index::2]}, tmp_path / f"model-{index}.safetensors")
    weight_map = {n: f"model-{i % 2}.safetensors" for i, n in enumerate(names)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for path in (tmp_path, tmp_path / "model.safetensors.index.json"):
        target = fresh(VARIANTS["post"])
        assert load_checkpoint(target, path).is_complete
        assert same(source, target)
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model-1\.safetensors"):
        load_checkpoint(fresh(VARIANTS["post"]), tmp_path)


def test_shards_may_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "w.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    (tmp_path.parent / "secret.safetensors").touch()
    with pytest.raises(ValueError, match="secret"):
        load_checkpoint(fresh(), tmp_path / "w.index.json")


def test_half_precision_file_fills_a_float32_model(tmp_path: Path) -> None:
    source, target = classifier(), fresh()
    half = {n: t.half() if t.is_floating_point() else t for n, t in tensors_of(source).items()}
    torch.save({"model": half}, tmp_path / "w.pth")
    load_checkpoint(target, tmp_path / "w.pth")
    weight = target.backbone.stem.conv1.weight
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, source.backbone.stem.conv1.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "missing", ["backbone.stages.1.blocks.0.mlp.function.fc1.weight", "backbone.stem.norm2.bias"]
)
def test_missing_backbone_tensors(tmp_path: Path, missing: str) -> None:
    source, target = classifier(), fresh()
    before = {n: t.clone() for n, t in target.state_dict().items()}
    tensors = tensors_of(source, "intern25")
    del tensors[missing]
    torch.save(tensors, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="lacks 1 tensors of the backbone"):
        load_checkpoint(target, tmp_path / "w.pth")
    assert all(torch.equal(before[n], t) for n, t in target.state_dict().items())
    report = load_checkpoint(target, tmp_path / "w.pth", allow_missing=True)
    assert report.missing == (missing,)
    assert "missing in the file (1)" in str(report)


def test_unexpected_tensors_are_reported(tmp_path: Path) -> None:
    tensors = tensors_of(classifier()) | {"levels.0.surprise.weight": torch.zeros(3)}
    torch.save({"model": tensors}, tmp_path / "w.pth")
    report = load_checkpoint(fresh(), tmp_path / "w.pth")
    assert report.unexpected == ("levels.0.surprise.weight",)
    assert not report.is_complete


def test_wrong_shapes_leave_the_model_alone(tmp_path: Path) -> None:
    target = fresh()
    before = {n: t.clone() for n, t in target.state_dict().items()}
    wider = dataclasses.replace(TINY, channels=64, groups=(4, 8, 16, 32))
    torch.save({"model": tensors_of(classifier(wider))}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"shapes differ.*\(32, 3, 3, 3\) in the file.*internimage_t"):
        load_checkpoint(target, tmp_path / "w.pth")
    assert all(torch.equal(before[n], t) for n, t in target.state_dict().items())


def test_layer_scales_on_one_side_are_told(tmp_path: Path) -> None:
    scaled = dataclasses.replace(TINY, layer_scale=1.0)
    torch.save({"model": tensors_of(classifier())}, tmp_path / "plain.pth")
    torch.save({"model": tensors_of(classifier(scaled))}, tmp_path / "scaled.pth")
    target = fresh(scaled)
    report = load_checkpoint(target, tmp_path / "plain.pth")
    assert all(name.endswith(".scale") for name in report.missing)
    assert "stay at 1.0" in str(report)
    assert torch.equal(target.backbone.stages[0].blocks[0].dcn.scale, torch.ones(16))
    report = load_checkpoint(fresh(), tmp_path / "scaled.pth")
    assert len(report.unexpected) == 8
    assert "layer_scale=1.0" in str(report)


def test_remove_center_drops_the_official_rows(tmp_path: Path) -> None:
    """Per group: mask row 4 of 9, offset rows 8 and 9 of 18."""
    full = dataclasses.replace(VARIANTS["no_center"], remove_center=False)
    source, target = classifier(full), fresh(VARIANTS["no_center"])
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    layer, thinned = (m.backbone.stages[1].blocks[0].dcn.function for m in (source, target))
    groups = 2
    offset_rows = [18 * g + r for g in range(groups) for r in range(18) if r not in (8, 9)]
    mask_rows = [9 * g + r for g in range(groups) for r in range(9) if r != 4]
    assert torch.equal(thinned.offset.weight, layer.offset.weight[offset_rows])
    assert torch.equal(thinned.offset.bias, layer.offset.bias[offset_rows])
    assert torch.equal(thinned.mask.weight, layer.mask.weight[mask_rows])
    assert torch.equal(thinned.mask.bias, layer.mask.bias[mask_rows])
    assert "remove_center" in report.converted[0]


def head_only(rows: int) -> dict[str, Tensor]:
    return tensors_of(classifier(num_classes=rows))


def test_class_mismatch_is_an_error_by_default(tmp_path: Path) -> None:
    torch.save({"model": head_only(7)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"7 classes, the model has 10.*'reset'.*'22k_to_1k'"):
        load_checkpoint(fresh(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="guess"):
        load_checkpoint(fresh(), tmp_path / "w.pth", on_class_mismatch="guess")  # type: ignore[arg-type]


def test_class_mismatch_reset_gives_a_small_head(tmp_path: Path) -> None:
    target = classifier(num_classes=10)
    torch.save({"model": head_only(7)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth", on_class_mismatch="reset")
    weight = target.classifier.weight
    # truncated normal with a deviation of 0.02, times 0.001
    assert weight.shape == (10, 192)
    assert 1e-5 < weight.std().item() < 3e-5
    assert torch.count_nonzero(target.classifier.bias) == 0
    assert not report.missing
    assert set(report.ignored) == {"head.weight", "head.bias"}


def test_22k_head_becomes_a_1k_head(tmp_path: Path) -> None:
    source, target = classifier(num_classes=21841), fresh(num_classes=1000)
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    load_checkpoint(target, tmp_path / "w.pth", on_class_mismatch="22k_to_1k")
    rows = torch.tensor(imagenet_22k_to_1k())
    assert torch.equal(target.classifier.weight, source.classifier.weight[rows])
    assert torch.equal(target.classifier.bias, source.classifier.bias[rows])
    with pytest.raises(ValueError, match="21841"):
        load_checkpoint(fresh(num_classes=5), tmp_path / "w.pth", on_class_mismatch="22k_to_1k")


def test_model_without_last_layer_ignores_it(tmp_path: Path) -> None:
    target = fresh(num_classes=0)
    torch.save({"model": head_only(7)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert set(report.ignored) == {"head.weight", "head.bias"}
    assert not report.missing


def test_metadata_classifier(tmp_path: Path) -> None:
    source = noisy(InternImageMetaClassifier(TINY, 6))
    target = InternImageMetaClassifier(TINY, 6)
    assert isinstance(source, InternImageMetaClassifier)
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    assert load_checkpoint(target, tmp_path / "w.pth").is_complete
    assert same(source, target)
    other = InternImageMetaClassifier(TINY, 3)
    report = load_checkpoint(other, tmp_path / "w.pth", on_class_mismatch="reset")
    assert not report.missing
    assert other.metadata_classifier.weight.std().item() < 1e-4


@pytest.mark.parametrize("config", [INTERNIMAGE_T, INTERNIMAGE_S], ids=["t", "s"])
def test_unrelated_network(tmp_path: Path, config: Any) -> None:
    torch.save({"model": {"conv1.weight": torch.zeros(3), "fc.weight": torch.zeros(3)}}, tmp_path / "w.pth")
    with torch.device("meta"):
        model = InternImageClassifier(config)
    with pytest.raises(ValueError, match=r"no InternImage.*conv1\.weight"):
        load_checkpoint(model, tmp_path / "w.pth")
