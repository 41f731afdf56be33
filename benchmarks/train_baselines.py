# SPDX-License-Identifier: MIT
"""What a detector or segmenter is compared with: the same head on a ResNet-18, and answers without a picture.

python benchmarks/train_baselines.py resnet18 runs/bccd/config.json runs/bccd-resnet18
python benchmarks/train_baselines.py score runs/bccd/config.json runs/bccd-resnet18 --split test
python benchmarks/train_baselines.py trivial runs/bccd/config.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from intern25.backbones.features import FeatureInfo
from intern25.data.detection.sources import read_detection
from intern25.data.resizing import DetectionPreprocessing, SegmentationPreprocessing
from intern25.data.segmentation.sources import read_semantic
from intern25.evaluation.detection import evaluate_detection, score_detections
from intern25.evaluation.semantic import evaluate_segmentation
from intern25.evaluation.trivial_boxes import MeanBoxes
from intern25.evaluation.trivial_maps import MajorityMap
from intern25.training.detection import DetectionTrainConfig, prepare_detection_data, train_detector
from intern25.training.progress import console_reporter
from intern25.training.segmentation import (
    SegmentationTrainConfig,
    balanced_weights,
    prepare_segmentation_data,
    train_segmenter,
)
from intern25.weights.architectures import ARCHITECTURES
from intern25.weights.kinds import FAMILIES, kind_of_config

CHANNELS = (64, 128, 256, 512)


class ResNet18(nn.Module):
    """torchvision's ResNet-18 with the calls of an InternImage: maps at 1/4 to 1/32, fresh weights."""

    def __init__(self, out_indices: tuple[int, ...]) -> None:
        super().__init__()
        network = torchvision.models.resnet18()
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        self.stages = nn.ModuleList([network.layer1, network.layer2, network.layer3, network.layer4])
        self.out_indices = out_indices
        self.feature_info = FeatureInfo(CHANNELS, (4, 8, 16, 32), out_indices)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the asked stages."""
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [maps[index] for index in self.out_indices]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("resnet18", "score", "trivial"))
    parser.add_argument("config", type=Path, help="config.json of the run to compare with")
    parser.add_argument("output", nargs="?", default="", help="folder of the run with the ResNet-18")
    parser.add_argument("--split", default="test", help="pictures that score looks at")
    parser.add_argument("--epochs", type=int, help="other number of epochs, to spend the same time")
    parser.add_argument("--base-lr", type=float, help="other peak learning rate")
    parser.add_argument("--backbone-weights", type=Path, help="state dict of a torchvision ResNet-18")
    arguments = parser.parse_args()
    config = _read(arguments.config)
    if arguments.what == "trivial":
        print(json.dumps(_trivial(config)))
        return
    if not arguments.output:
        parser.error(f"{arguments.what} needs the folder of the run with the ResNet-18")
    if arguments.what == "score":
        print(json.dumps(_score(config, Path(arguments.output) / "best.safetensors", arguments.split)))
        return
    changes = {"epochs": arguments.epochs, "base_lr": arguments.base_lr}
    config = replace(config, output=arguments.output, **{k: v for k, v in changes.items() if v is not None})
    print(json.dumps(_train(config, arguments.backbone_weights)))


def _read(path: Path) -> DetectionTrainConfig | SegmentationTrainConfig:
    text = path.read_text(encoding="utf-8")
    kind = DetectionTrainConfig if "mosaic" in json.loads(text) else SegmentationTrainConfig
    return kind.from_json(text)


def _train(config: DetectionTrainConfig | SegmentationTrainConfig, weights: Path | None) -> dict[str, Any]:
    """The run of the config with its head on a ResNet-18; the backbone has no layer decay."""
    config = replace(config, pretrained="", pretrained_backbone="", drop_path=None)
    if weights is None:  # fresh weights must move as much as the head's
        config = replace(config, backbone_lr_mul=1.0)
    model = _on_resnet18(config)
    if weights is not None:
        model.backbone.load_state_dict(_renamed(torch.load(weights, weights_only=True)))
    train: Any = train_detector if isinstance(config, DetectionTrainConfig) else train_segmenter
    result = train(config, model=model, reporter=console_reporter())
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "best_score": result.best_score, **result.metrics}


def _on_resnet18(config: DetectionTrainConfig | SegmentationTrainConfig) -> Any:
    """The model of a run with a fresh ResNet-18 in the place of its backbone."""
    settings: Any = ARCHITECTURES[config.model]
    changes: dict[str, Any] = {}
    if isinstance(config, DetectionTrainConfig):
        splits, _, masks = prepare_detection_data(config)
        if hasattr(settings, "with_mask"):
            changes["with_mask"] = masks
        if config.max_detections:
            changes["max_detections"] = config.max_detections
    else:
        splits, _ = prepare_segmentation_data(config)
        if config.dice_weight >= 0:
            changes["dice_weight"] = config.dice_weight
        if config.class_balance > 0:
            changes["class_weights"] = balanced_weights(splits.train.pixel_counts(), config.class_balance)
    settings = dataclasses.replace(settings, num_classes=len(splits.train.classes), **changes)
    kind = kind_of_config(settings)
    torch.manual_seed(config.seed)
    backbone = ResNet18((1, 2, 3) if kind == "dino" else (0, 1, 2, 3))
    return FAMILIES[kind].parts()[0](settings, backbone=backbone)  # type: ignore[call-arg]


def _score(
    config: DetectionTrainConfig | SegmentationTrainConfig, weights: Path, split: str
) -> dict[str, Any]:
    """Figures of trained weights on other pictures than those that chose them."""
    model = _on_resnet18(config)
    model.load_state_dict(load_file(weights))
    model.eval()
    sides = {"long_side": config.long_side, "short_side": config.short_side}
    if isinstance(config, DetectionTrainConfig):
        images = read_detection(config.data, config.format, split=split)
        preprocessing = DetectionPreprocessing(**sides)
        found = evaluate_detection(model, images, preprocessing, metric=config.metric)
        scores = {"box": found.box, "mask": found.mask}
        return {name: dataclasses.asdict(part) for name, part in scores.items() if part is not None}
    frames = read_semantic(config.data, config.format, split=split)  # type: ignore[arg-type]
    report = evaluate_segmentation(model, frames, SegmentationPreprocessing(**sides))
    return {"mean_iou": report.mean_iou, "pixel_accuracy": report.pixel_accuracy}


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's names to those of :class:`ResNet18`."""
    names = {"conv1.": "stem.0.", "bn1.": "stem.1.", **{f"layer{i + 1}.": f"stages.{i}." for i in range(4)}}
    return {
        new + name.removeprefix(old): value
        for name, value in state.items()
        for old, new in names.items()
        if name.startswith(old)
    }


def _trivial(config: DetectionTrainConfig | SegmentationTrainConfig) -> dict[str, Any]:
    return _mean_boxes(config) if isinstance(config, DetectionTrainConfig) else _majority(config)


def _mean_boxes(config: DetectionTrainConfig) -> dict[str, Any]:
    """Every picture gets the same boxes."""
    splits, _, _ = prepare_detection_data(config)
    mean = MeanBoxes.of(splits.train)
    annotations = [splits.val.annotation(index) for index in range(len(splits.val))]
    predictions = [mean.predict(annotation.size) for annotation in annotations]
    box, _ = score_detections(annotations, predictions, splits.val.classes.en, metric=config.metric)
    values = dataclasses.asdict(box)
    values.pop("classes", None)
    return {"baseline": "mean boxes", **values}


def _majority(config: SegmentationTrainConfig) -> dict[str, Any]:
    """Every pixel gets the class that is most frequent, at its place or of all."""
    splits, _ = prepare_segmentation_data(config)
    majority = MajorityMap.of(splits.train)
    figures = {}
    for name, by_place in (("majority at each place", True), ("majority", False)):
        report = majority.score(splits.val, by_place=by_place)
        figures[name] = {"mean_iou": report.mean_iou, "pixel_accuracy": report.pixel_accuracy}
    return figures


if __name__ == "__main__":
    main()
