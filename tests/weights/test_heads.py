# SPDX-License-Identifier: MIT
"""Weights of detectors and segmenters: every container, layout and mismatch, both ways."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage
from intern25.bundle import open_bundle
from intern25.data.class_names import ClassNames, class_names
from intern25.data.palettes import palette
from intern25.data.preprocessing import Preprocessing
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.convert import convert
from intern25.weights.create import create_model
from intern25.weights.files import read_metadata, save_model
from intern25.weights.kinds import FAMILIES, Blueprint, class_rows, config_from_json, kind_of_config
from intern25.weights.layouts import recognise
from intern25.weights.load import load_checkpoint
from tests.weights.samples import HEADS, TINY, classifier, head_model, same, tensors_of

NANO = ("mask_rcnn_internimage_nano", "dino_internimage_nano", "upernet_internimage_nano")


def fresh(name: str, num_classes: int | None = None) -> Any:
    config = HEADS[name]
    number = num_classes or getattr(config, "num_classes")  # noqa: B009
    return Blueprint(kind=kind_of_config(config), config=config, num_classes=number).build(
        torch.device("cpu")
    )


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module", params=HEADS)
def head(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, head_model(request.param)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_file(head: tuple[str, nn.Module], tmp_path: Path, prefix: str) -> None:
    name, source = head
    tensors = {prefix + n: t for n, t in tensors_of(source).items()}
    torch.save({"meta": {"epoch": 12}, "state_dict": tensors, "optimizer": {}}, tmp_path / "w.pth")
    target = fresh(name)
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(source, target)
    assert report.is_complete
    assert report.layout == "official"
    assert not report.notes


@pytest.mark.parametrize("layout", ["official", "intern25"])
def test_kind_is_recognised_by_names(head: tuple[str, nn.Module], layout: Any) -> None:
    name, source = head
    tensors = {f"module.{n}": t for n, t in tensors_of(source, layout).items()}
    found = recognise(tensors, Path("w.pth"))
    assert (found.kind, found.layout, found.prefix) == (kind_of_config(HEADS[name]), layout, "module.")


def test_own_file_describes_itself(head: tuple[str, nn.Module], tmp_path: Path) -> None:
    name, source = head
    config = HEADS[name]
    path = tmp_path / "w.safetensors"
    family = FAMILIES[kind_of_config(config)]
    prepare: Any = (
        DetectionPreprocessing(long_side=640, short_side=320)
        if family.task == "detection"
        else SegmentationPreprocessing(
            long_side=640, short_side=320, multiple=None, mode="slide", crop=(64, 64), stride=(32, 48)
        )
    )
    number = source.num_classes
    assert isinstance(number, int)
    names = ClassNames(en=tuple(map(str, range(number))), zh=tuple(f"类{i}" for i in range(number)))
    save_model(path, source, classes=names, preprocessing=prepare, extra={"recipe": "none"})
    metadata = read_metadata(path)
    assert metadata.config == config
    assert metadata.model == kind_of_config(config)
    assert (metadata.num_classes, metadata.classes) == (number, names)
    assert metadata.preprocessing == prepare
    bundle = open_bundle(path)
    assert same(bundle.model, source)
    assert bundle.model.config == config
    assert (bundle.preprocessing, bundle.classes) == (prepare, names)
    assert bundle.task == family.task
    assert len(bundle.palette) == number
    target = fresh(name)
    assert load_checkpoint(target, path).is_complete
    assert same(target, source)
    with pytest.raises(TypeError, match=rf"{family.task} model takes a .*not a Preprocessing"):
        save_model(path, source, preprocessing=Preprocessing(224))


def test_configs_survive_json(head: tuple[str, nn.Module]) -> None:
    config = HEADS[head[0]]
    text = json.dumps(dataclasses.asdict(config))
    assert config_from_json(kind_of_config(config), text) == config


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_published_configs_survive_json(name: str) -> None:
    config = ARCHITECTURES[name]
    assert config_from_json(kind_of_config(config), json.dumps(dataclasses.asdict(config))) == config


def test_conversion_to_official_names_keeps_every_bit(head: tuple[str, nn.Module], tmp_path: Path) -> None:
    _, source = head
    save_model(tmp_path / "w.safetensors", source)
    convert(tmp_path / "w.safetensors", tmp_path / "w.pth", layout="official")
    found = torch.load(tmp_path / "w.pth", weights_only=True)["state_dict"]
    expected = tensors_of(source)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(ValueError, match="hugging_face layout is for classifiers"):
        convert(tmp_path / "w.safetensors", tmp_path / "folder", layout="hugging_face")


@pytest.mark.parametrize("name", NANO)
def test_conversion_there_and_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = create_model(name, num_classes=5)
    tensors = tensors_of(source)
    first = next(iter(tensors))
    tensors[first].view(-1)[:3] = torch.tensor([float("nan"), float("inf"), 1e-42])
    names = ("a", "b", "c", "d", "e")
    torch.save({"meta": {"CLASSES": names}, "state_dict": tensors}, tmp_path / "in.pth")
    convert(tmp_path / "in.pth", tmp_path / "own.safetensors")
    metadata = read_metadata(tmp_path / "own.safetensors")
    assert metadata.config == source.config
    assert metadata.classes is not None
    assert metadata.classes.en == names
    convert(tmp_path / "own.safetensors", tmp_path / "out.pth", layout="official")
    back = torch.load(tmp_path / "out.pth", weights_only=True)
    assert tuple(back["meta"]["CLASSES"]) == names
    assert back["state_dict"].keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert torch.equal(
            back["state_dict"][key].view(-1).view(torch.uint8), tensor.view(-1).view(torch.uint8)
        )


def test_detector_starts_from_a_classifier(tmp_path: Path) -> None:
    """The official way: the layer scales it lacks stay 1, the head stays fresh, and the report says so."""
    config = dataclasses.replace(HEADS["mask_rcnn"], backbone=dataclasses.replace(TINY, layer_scale=1.0))
    target = Blueprint(kind="mask_rcnn", config=config, num_classes=3).build(torch.device("cpu"))
    before, source = values(target), classifier(TINY)
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    loaded, expected = target.state_dict(), source.backbone.state_dict()
    assert all(torch.equal(loaded[f"backbone.{name}"], tensor) for name, tensor in expected.items())
    scales = [name for name in loaded if name.endswith(".scale")]
    assert scales
    assert all(bool((loaded[name] == 1).all()) for name in scales)
    heads = [name for name in before if not name.startswith("backbone.")]
    assert all(torch.equal(loaded[name], before[name]) for name in heads)
    assert set(report.missing) == {*scales, *(n for n in heads if not n.endswith("num_batches_tracked"))}
    assert "head.weight" in report.ignored
    assert any("layer scales" in note for note in report.notes)
    assert any("only its backbone was taken" in note for note in report.notes)


def test_composite_starts_from_a_classifier_twice(tmp_path: Path) -> None:
    target = fresh("cb_dino")
    source = classifier(HEADS["cb_dino"].backbone)  # type: ignore[union-attr]
    torch.save({"model": tensors_of(source)}, tmp_path / "w.pth")
    load_checkpoint(target, tmp_path / "w.pth")
    assert same(target.backbone.assisting, source.backbone)
    lead = target.backbone.lead.state_dict()
    expected = source.backbone.state_dict()
    assert all(torch.equal(lead[name], expected[name]) for name in lead)
    assert not any(name.startswith("stem") for name in lead)


@pytest.mark.parametrize("layout", ["official", "intern25"])
def test_backbone_and_classifier_take_what_is_theirs(
    head: tuple[str, nn.Module], tmp_path: Path, layout: Any
) -> None:
    name, source = head
    backbone: Any = source.backbone
    inner = backbone if isinstance(backbone, InternImage) else backbone.assisting
    torch.save(tensors_of(source, layout), tmp_path / "w.pth")
    target = InternImage(inner.config)
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(target, inner)
    assert not report.unexpected
    assert report.ignored
    whole = classifier(inner.config)
    assert not load_checkpoint(whole, tmp_path / "w.pth").unexpected
    assert same(whole.backbone, inner), name


def test_other_heads_give_their_backbone(tmp_path: Path) -> None:
    source, target = head_model("mask_rcnn"), fresh("upernet")
    torch.save({"state_dict": tensors_of(source)}, tmp_path / "w.pth")
    report = load_checkpoint(target, tmp_path / "w.pth")
    assert same(target.backbone, source.backbone)  # type: ignore[arg-type]
    assert not report.unexpected
    assert any("holds a mask rcnn" in note for note in report.notes)


def test_other_numbers_of_classes(head: tuple[str, nn.Module], tmp_path: Path) -> None:
    name, source = head
    number = source.num_classes
    assert isinstance(number, int)
    torch.save({"state_dict": tensors_of(source)}, tmp_path / "w.pth")
    target = fresh(name, number + 2)
    before = values(target)
    with pytest.raises(ValueError, match=rf"has {number} classes, the model has {number + 2}.*'reset'"):
        load_checkpoint(target, tmp_path / "w.pth")
    assert all(torch.equal(before[key], tensor) for key, tensor in target.state_dict().items())
    report = load_checkpoint(target, tmp_path / "w.pth", on_class_mismatch="reset")
    rows = set(class_rows(kind_of_config(HEADS[name]), HEADS[name]))
    assert rows
    after, expected = target.state_dict(), source.state_dict()
    assert set(report.missing) == rows
    assert all(torch.equal(after[key], before[key] if key in rows else expected[key]) for key in after)


def test_averaging_hook(tmp_path: Path) -> None:
    """Cascade 3x: the ordinary names hold the average, the copies with underscores the raw weights."""
    averaged, raw = head_model("cascade_mask_rcnn"), head_model("cascade_mask_rcnn")
    tensors = tensors_of(averaged)
    tensors |= {f"ema_{name.replace('.', '_')}": tensor for name, tensor in tensors_of(raw).items()}
    torch.save({"meta": {}, "state_dict": tensors}, tmp_path / "w.pth")
    for prefer_ema in (False, True):
        target = fresh("cascade_mask_rcnn")
        report = load_checkpoint(target, tmp_path / "w.pth", prefer_ema=prefer_ema)
        assert same(target, averaged)
        assert report.is_complete
        assert len(report.ignored) == len(tensors_of(raw))


def test_created_with_weights(tmp_path: Path) -> None:
    source = create_model("mask_rcnn_internimage_nano", num_classes=4)
    torch.save({"state_dict": tensors_of(source)}, tmp_path / "w.pth")
    model = create_model("mask_rcnn_internimage_nano", pretrained=tmp_path / "w.pth")
    assert same(model, source)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    other = create_model(
        "mask_rcnn_internimage_nano",
        pretrained=tmp_path / "w.pth",
        num_classes=7,
        on_class_mismatch="reset",
        drop_path=0.3,
        dtype=torch.float64,
    )
    assert other.num_classes == 7
    assert other.config.backbone.drop_path == 0.3
    assert same(other.backbone, source.backbone.double())
    assert isinstance(create_model("mask_rcnn_internimage_nano", features_only=True), InternImage)


def test_created_on_a_pretrained_backbone(tmp_path: Path) -> None:
    source = create_model("internimage_nano", num_classes=4)
    save_model(tmp_path / "w.safetensors", source)
    torch.save(tensors_of(source), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"holds a classifier, not a upernet.*pretrained_backbone="):
        create_model("upernet_internimage_nano", pretrained=tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"not a UperNetConfig.*pretrained_backbone="):
        create_model("upernet_internimage_nano", pretrained=tmp_path / "w.safetensors")
    path = tmp_path / "w.safetensors"
    model = create_model("upernet_internimage_nano", pretrained_backbone=path, num_classes=11)
    assert same(model.backbone, source.backbone)
    assert model.num_classes == 11
    with pytest.raises(ValueError, match="detectors and segmenters; for internimage_nano use pretrained="):
        create_model("internimage_nano", pretrained_backbone=path)
    with pytest.raises(ValueError, match="not both"):
        create_model("upernet_internimage_nano", pretrained=path, pretrained_backbone=path)
    with pytest.raises(FileNotFoundError, match="internimage_nano_caltech101"):
        create_model("upernet_internimage_nano", pretrained_backbone="typo.pth")
    with pytest.raises(ValueError, match="no weights of dino_internimage_nano were published"):
        create_model("dino_internimage_nano", pretrained=True)


def test_another_kind_of_config_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "w.safetensors", head_model("mask_rcnn"))
    with pytest.raises(ValueError, match="their config is a MaskRCNNConfig, not a UperNetConfig"):
        create_model("upernet_internimage_nano", pretrained=tmp_path / "w.safetensors")


def test_classes_of_mmdetection_files_get_their_chinese_names(tmp_path: Path) -> None:
    source = create_model("mask_rcnn_internimage_nano")
    coco = class_names("coco")
    content = {"meta": {"CLASSES": coco.en}, "state_dict": tensors_of(source)}
    torch.save(content, tmp_path / "w.pth")
    convert(tmp_path / "w.pth", tmp_path / "w.safetensors")
    assert read_metadata(tmp_path / "w.safetensors").classes == coco


def test_street_segmenters_have_unnamed_outputs(tmp_path: Path) -> None:
    """150 outputs of which 19 have a name and a colour."""
    source = create_model("upernet_internimage_nano", num_classes=150)
    streets = class_names("cityscapes")
    prepare = SegmentationPreprocessing(long_side=64, short_side=32)
    save_model(tmp_path / "w.safetensors", source, classes=streets.padded(150), preprocessing=prepare)
    bundle = open_bundle(tmp_path / "w.safetensors")
    assert bundle.classes.en[:20] == (*streets.en, "class 19")
    assert bundle.classes.zh[149] == "类别 149"
    assert bundle.palette[:19] == palette("cityscapes")
    assert set(bundle.palette[19:]) == {(0, 0, 0)}


def test_other_backbones_are_not_saved(tmp_path: Path) -> None:
    model = head_model("upernet")
    model.backbone = nn.Identity()
    with pytest.raises(TypeError, match="its backbone is no InternImage"):
        save_model(tmp_path / "w.safetensors", model)
    assert not list(tmp_path.iterdir())


def test_unknown_preprocessing(tmp_path: Path) -> None:
    save_file(head_model("dino").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="no published dino has"):
        open_bundle(tmp_path / "w.safetensors")
    save_file(create_model("dino_internimage_nano").state_dict(), tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match="does not say how to prepare pictures"):
        open_bundle(tmp_path / "n.safetensors")
    assert load_file(tmp_path / "n.safetensors")


def test_listing_loads_no_model_code() -> None:
    code = (
        "import sys, intern25\n"
        "assert intern25.list_models('upernet_*', pretrained=True)\n"
        "from intern25.weights.catalog import CARDS\n"
        "assert all(card.task and card.url for card in CARDS.values())\n"
        "heavy = {'torchvision', 'PIL', 'safetensors', 'scipy', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'intern25.detection.mask_rcnn' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
