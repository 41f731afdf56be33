# SPDX-License-Identifier: MIT
"""Every model this package knows, by name: published ones, our own, and bare architectures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from intern25.weights.architectures import ARCHITECTURES as ARCHITECTURES
from intern25.weights.card import ModelCard as ModelCard
from intern25.weights.cards_classification import CLASSIFICATION
from intern25.weights.cards_detection import DETECTION
from intern25.weights.cards_segmentation import SEGMENTATION
from intern25.weights.generalists import GENERALIST_CARDS, GENERALISTS

CARDS: Mapping[str, ModelCard] = MappingProxyType(
    {row.id: row for row in (*CLASSIFICATION, *DETECTION, *SEGMENTATION)}
)
"""Model id to its card."""

DEFAULT_CARDS: Mapping[str, str] = MappingProxyType(
    {
        "internimage_nano": "internimage_nano_caltech101",
        "internimage_t": "internimage_t_1k_224",
        "internimage_s": "internimage_s_1k_224",
        "internimage_b": "internimage_b_1k_224",
        "internimage_l": "internimage_l_22kto1k_384",
        "internimage_xl": "internimage_xl_22kto1k_384",
        "internimage_h": "internimage_h_22kto1k_640",
        "internimage_g": "internimage_g_22kto1k_512",
        "faster_rcnn_internimage_nano": "faster_rcnn_internimage_nano_bccd",
        "mask_rcnn_internimage_t": "mask_rcnn_internimage_t_fpn_3x_coco",
        "mask_rcnn_internimage_s": "mask_rcnn_internimage_s_fpn_3x_coco",
        "mask_rcnn_internimage_b": "mask_rcnn_internimage_b_fpn_3x_coco",
        "cascade_mask_rcnn_internimage_l": "cascade_internimage_l_fpn_3x_coco",
        "cascade_mask_rcnn_internimage_xl": "cascade_internimage_xl_fpn_3x_coco",
        "dino_internimage_t": "dino_4scale_internimage_t_1x_coco",
        "dino_internimage_l": "dino_4scale_internimage_l_1x_coco_0.1x_backbone_lr",
        "dino_internimage_h": "dino_4scale_internimage_h_objects365_coco",
        "dino_internimage_g": "dino_4scale_internimage_g_objects365_coco",
        "cb_dino_internimage_h": "dino_4scale_cbinternimage_h_objects365_coco",
        "upernet_internimage_nano": "upernet_internimage_nano_camvid",
        "upernet_internimage_t": "upernet_internimage_t_512_160k_ade20k",
        "upernet_internimage_s": "upernet_internimage_s_512_160k_ade20k",
        "upernet_internimage_b": "upernet_internimage_b_512_160k_ade20k",
        "upernet_internimage_l": "upernet_internimage_l_640_160k_ade20k",
        "upernet_internimage_xl": "upernet_internimage_xl_640_160k_ade20k",
        "upernet_internimage_h": "upernet_internimage_h_896_160k_ade20k",
        "segformer_internimage_l": "segformer_internimage_l_512x1024_160k_mapillary2cityscapes",
        "segformer_internimage_xl": "segformer_internimage_xl_512x1024_160k_mapillary2cityscapes",
        "mask2former_internimage_h": "mask2former_internimage_h_896_80k_cocostuff2ade20k",
        "mask2former_internimage_h_coco_stuff": "mask2former_internimage_h_896_80k_cocostuff164k",
        "mask2former_internimage_h_cityscapes": (
            "mask2former_internimage_h_1024x1024_80k_mapillary2cityscapes"
        ),
        "mask2former_internimage_h_pascal_context_59": (
            "mask2former_internimage_h_480_40k_pascal_context_59"
        ),
        "mask2former_internimage_h_nyu40": "mask2former_internimage_h_480_40k_nyu",
    }
)
"""Which weights ``pretrained=True`` means when only an architecture is named; some have none."""

BACKBONE_CARDS: Mapping[str, str] = MappingProxyType(
    {
        "internimage_nano": "internimage_nano_caltech101",
        "internimage_t": "internimage_t_1k_224",
        "internimage_s": "internimage_s_1k_224",
        "internimage_b": "internimage_b_1k_224",
        "internimage_l": "internimage_l_22k_192to384",
        "internimage_xl": "internimage_xl_22k_192to384",
        "internimage_h": "internimage_h_jointto22k_384",
        "internimage_g": "internimage_g_pretrainto22k_384",
    }
)
"""Which weights ``pretrained_backbone=True`` means: those the authors start detectors and segmenters from."""


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """Names that ``create_model`` takes, sorted.

    Args:
        pattern: Shell pattern, such as ``"internimage_l*"`` or ``"upernet_*"``.
        pretrained: Only models with weights, leaving bare architectures out.

    Example:
        >>> list_models("internimage_t*", pretrained=True)
        ['internimage_t_1k_224']
    """
    names = {card.id for card in CARDS.values() if card.available or not pretrained}
    names.update(card.id for card in GENERALIST_CARDS.values() if card.available or not pretrained)
    if not pretrained:
        names.update(ARCHITECTURES, GENERALISTS)
    return sorted(name for name in names if fnmatchcase(name, pattern))


def find_card(name: str) -> ModelCard | None:
    """Return the card of a model id, None for an architecture name.

    Raises:
        ValueError: ``name`` is neither, the message then shows the nearest names; or it is a generalist.
    """
    if name in CARDS:
        return CARDS[name]
    if name in ARCHITECTURES:
        return None
    if name in GENERALISTS:
        raise ValueError(f"{name} is a generalist, not a model of one task; open it with intern25.load")
    close = difflib.get_close_matches(name, [*CARDS, *ARCHITECTURES, *GENERALISTS], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "see intern25.list_models()"
    raise ValueError(f"no model or architecture is called {name!r}; {hint}")
