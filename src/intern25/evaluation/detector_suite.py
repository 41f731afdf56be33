# SPDX-License-Identifier: MIT
"""The detectors of the benchmark: Mask R-CNN and DINO on InternImage, torchvision's and transformers' peers.

Each is timed from a normalised image to boxes and masks in its pixels, as its own library returns them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from intern25.detection.mask_rcnn import MaskRCNN
from intern25.evaluation.alike_regions import make_regions_alike
from intern25.evaluation.contestants import Contestant, peer_library, plain_and_optimized
from intern25.evaluation.detection_work import Found, work_of
from intern25.evaluation.model_suite import ModelSuite

NUM_CLASSES = 80
"""Those of COCO."""


class TorchvisionDetector(nn.Module):
    """A detector of torchvision that takes images as they are.

    Args:
        model: Any of its detectors whose images are prepared by ``model.transform``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> list[Found]:
        """Normalised ``(N, 3, H, W)`` to the objects of every picture."""
        sides = images.shape[2:]
        transform = cast(Any, self.model.transform)
        transform.min_size, transform.max_size = (min(sides),), max(sides)
        return cast(list[Found], self.model(list(images)))


class TransformersDetector(nn.Module):
    """A detector of transformers with the steps behind it that its image processor has.

    Args:
        model: Takes ``pixel_values``.
        finish: From its output and ``target_sizes`` to the objects of every picture.
    """

    def __init__(self, model: nn.Module, finish: Callable[..., list[dict[str, Any]]]) -> None:
        super().__init__()
        self.model = model
        self.finish = finish

    def forward(self, images: Tensor) -> list[Found]:
        """Normalised ``(N, 3, H, W)`` to the objects of every picture."""
        size = (images.shape[2], images.shape[3])
        found = self.finish(self.model(pixel_values=images), target_sizes=[size] * len(images))
        return [one | {"masks": one["segmentation"]} if "segmentation" in one else one for one in found]


def _alike(model: nn.Module) -> nn.Module:
    assert isinstance(model, MaskRCNN), type(model)
    make_regions_alike(
        objectness=model.rpn.objectness,
        anchor_codes=model.rpn.boxes,
        classes=model.box_head.classes,
        region_codes=model.box_head.boxes,
    )
    return model


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision.models import detection

        model: Any = getattr(detection, name)(
            weights=None,
            weights_backbone=None,
            num_classes=NUM_CLASSES + 1,
            image_mean=[0.0, 0.0, 0.0],
            image_std=[1.0, 1.0, 1.0],
        )
        predictor = model.roi_heads.box_predictor
        make_regions_alike(
            objectness=model.rpn.head.cls_logits,
            anchor_codes=model.rpn.head.bbox_pred,
            classes=predictor.cls_score,
            region_codes=predictor.bbox_pred,
        )
        return TorchvisionDetector(model)

    return build


def _detr() -> nn.Module:
    library = peer_library("transformers", extra="hf")
    config = library.DetrConfig(num_labels=NUM_CLASSES, **_resnet(library, ["stage4"]))
    finish = library.DetrImageProcessor().post_process_object_detection
    return TransformersDetector(
        library.DetrForObjectDetection(config), functools.partial(finish, threshold=0.0)
    )


def _deformable_detr() -> nn.Module:
    library = peer_library("transformers", extra="hf")
    backbone = _resnet(library, ["stage2", "stage3", "stage4"])
    config = library.DeformableDetrConfig(
        num_labels=NUM_CLASSES, with_box_refine=True, two_stage=True, **backbone
    )
    finish = library.DeformableDetrImageProcessor().post_process_object_detection
    return TransformersDetector(
        library.DeformableDetrForObjectDetection(config), functools.partial(finish, threshold=0.0)
    )


def _resnet(library: Any, stages: list[str]) -> dict[str, Any]:
    """Arguments of a config for a ResNet-50 without weights, so that nothing is downloaded."""
    return {
        "backbone_config": library.ResNetConfig(out_features=stages),
        "backbone": None,
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
    }


def _mask2former() -> nn.Module:
    library = peer_library("transformers", extra="hf")
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone_config = library.SwinConfig(depths=[2, 2, 6, 2], out_features=stages)
    config = library.Mask2FormerConfig(backbone_config=backbone_config, num_labels=NUM_CLASSES)
    finish = library.Mask2FormerImageProcessor().post_process_instance_segmentation
    return TransformersDetector(
        library.Mask2FormerForUniversalSegmentation(config),
        functools.partial(finish, threshold=0.0, return_binary_maps=True),  # may overlap, as an R-CNN's
    )


DETECTORS = ModelSuite(
    name="detectors",
    contestants={
        **plain_and_optimized("mask_rcnn_internimage_t", _alike),
        "maskrcnn_resnet50_fpn_v2": Contestant(_torchvision("maskrcnn_resnet50_fpn_v2"), channels_last=True),
        "maskrcnn_resnet50_fpn": Contestant(_torchvision("maskrcnn_resnet50_fpn"), channels_last=True),
        **plain_and_optimized("dino_internimage_t"),
        "deformable_detr_resnet50": Contestant(_deformable_detr, channels_last=True),
        "detr_resnet50": Contestant(_detr, channels_last=True),
        "mask2former_swin_tiny": Contestant(_mask2former),
        **plain_and_optimized("mask_rcnn_internimage_nano", _alike),
    },
    baseline="maskrcnn_resnet50_fpn_v2",
    image_sizes=((800, 1333),),
    smallest_side=128,  # Deformable DETR needs a token for each of its 300 queries
    work=work_of,
)
"""Normalised images to boxes and masks, 80 classes. Peers run in the memory format that suits them."""
