# SPDX-License-Identifier: MIT
"""The Hugging Face layout of InternImage: tensor names, ``config.json``, ``preprocessor_config.json``."""
# Names after OpenGVLab/InternImage classification/huggingface (MIT)

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from intern25.backbones.internimage import BlockNorm, InternImageConfig
from intern25.data.preprocessing import Preprocessing

PREFIX = "model."
_REMOTE_CODE = "OpenGVLab/internimage_t_1k_224"
"""Hub repository whose Python files run the exported folder under transformers."""
_CONV_HEAD_RATIO = 1.5
_BICUBIC = 3


def to_official_name(name: str) -> str:
    """Official name of a Hugging Face tensor: ``gamma`` is called ``layer_scale`` there.

    Example:
        >>> to_official_name("model.levels.0.blocks.0.layer_scale1")
        'levels.0.blocks.0.gamma1'
    """
    return re.sub(r"\.layer_scale([12])$", r".gamma\1", name.removeprefix(PREFIX))


def from_official_name(name: str) -> str:
    """Hugging Face name of an official tensor."""
    return PREFIX + re.sub(r"\.gamma([12])$", r".layer_scale\1", name)


def is_config(values: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` describes an InternImage."""
    return values.get("model_type") == "internimage"


def read_config(values: Mapping[str, Any]) -> InternImageConfig:
    """Architecture described by a ``config.json``.

    Raises:
        ValueError: It asks for something that no published model has.
    """
    if values.get("cls_scale", _CONV_HEAD_RATIO) != _CONV_HEAD_RATIO:
        raise ValueError(
            f"config.json has cls_scale={values['cls_scale']}; only {_CONV_HEAD_RATIO} is supported"
        )
    if values.get("drop_path_type", "linear") != "linear":
        raise ValueError(
            f"config.json has drop_path_type={values['drop_path_type']!r}; only 'linear' is supported"
        )
    try:
        return InternImageConfig(
            channels=values["channels"],
            depths=tuple(values["depths"]),
            groups=tuple(values["groups"]),
            block_norm=_block_norm(values),
            layer_scale=values.get("layer_scale"),
            offset_scale=values.get("offset_scale", 1.0),
            dw_kernel_size=values.get("dw_kernel_size") or 3,
            center_feature_scale=values.get("center_feature_scale", False),
            extra_norm_blocks=_extra_norm_blocks(values),
            head="attention_pool" if values.get("use_clip_projector") else "conv",
            mlp_ratio=values.get("mlp_ratio", 4.0),
            drop_path=values.get("drop_path_rate", 0.0),
            remove_center=values.get("remove_center", False),
            norm=values.get("norm_layer", "LN"),
            activation=values.get("act_layer", "GELU"),
        )
    except KeyError as error:
        raise ValueError(f"config.json has no {error}; it is no InternImage config") from error


def _block_norm(values: Mapping[str, Any]) -> BlockNorm:
    """The official code ignores ``res_post_norm`` where ``post_norm`` or a layer scale is set."""
    if values.get("post_norm"):
        return "post"
    has_scale = values.get("layer_scale") is not None
    return "res_post" if values.get("res_post_norm") and not has_scale else "pre"


def _extra_norm_blocks(values: Mapping[str, Any]) -> tuple[int, ...]:
    if not values.get("level2_post_norm"):
        return ()
    return tuple(cast(list[int], values.get("level2_post_norm_block_ids") or []))


def write_config(config: InternImageConfig, num_classes: int) -> dict[str, Any]:
    """``config.json`` of an architecture, as the authors' folders have it."""
    return {
        "act_layer": config.activation,
        "architectures": ["InternImageModelForImageClassification"],
        "auto_map": {
            "AutoConfig": f"{_REMOTE_CODE}--configuration_internimage.InternImageConfig",
            "AutoModel": f"{_REMOTE_CODE}--modeling_internimage.InternImageModel",
            "AutoModelForImageClassification": (
                f"{_REMOTE_CODE}--modeling_internimage.InternImageModelForImageClassification"
            ),
        },
        "center_feature_scale": config.center_feature_scale,
        "channels": config.channels,
        "cls_scale": _CONV_HEAD_RATIO,
        "core_op": "DCNv3",
        "depths": list(config.depths),
        "drop_path_rate": config.drop_path,
        "drop_path_type": "linear",
        "drop_rate": 0.0,
        "dw_kernel_size": None if config.dw_kernel_size == 3 else config.dw_kernel_size,
        "groups": list(config.groups),
        "layer_scale": config.layer_scale,
        "level2_post_norm": bool(config.extra_norm_blocks),
        "level2_post_norm_block_ids": list(config.extra_norm_blocks) or None,
        "mlp_ratio": config.mlp_ratio,
        "model_type": "internimage",
        "norm_layer": config.norm,
        "num_classes": num_classes,
        "offset_scale": config.offset_scale,
        "post_norm": config.block_norm == "post",
        "remove_center": config.remove_center,
        "res_post_norm": config.block_norm == "res_post",
        "torch_dtype": "float32",
        "use_clip_projector": config.head == "attention_pool",
        "with_cp": False,
    }


def write_preprocessing(preprocessing: Preprocessing) -> dict[str, Any]:
    """``preprocessor_config.json`` for transformers' ``CLIPImageProcessor``.

    Raises:
        ValueError: The processor of transformers cannot do the same.
    """
    if preprocessing.crop != "center" or preprocessing.interpolation != "bicubic":
        raise ValueError(
            f"the Hugging Face layout holds a bicubic resize with a centre crop, not {preprocessing}; "
            "convert to layout='intern25'"
        )
    size = preprocessing.image_size
    return {
        "crop_size": {"height": size, "width": size},
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "image_mean": list(preprocessing.mean),
        "image_processor_type": "CLIPImageProcessor",
        "image_std": list(preprocessing.std),
        "resample": _BICUBIC,
        "size": {"shortest_edge": size},
    }


def read_preprocessing(values: Mapping[str, Any]) -> Preprocessing | None:
    """Preprocessing of a ``preprocessor_config.json``; None when it names no size."""
    size = values.get("crop_size") or values.get("size")
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    if not isinstance(size, int):
        return None
    return Preprocessing(size, mean=values["image_mean"], std=values["image_std"])
