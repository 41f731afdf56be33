# SPDX-License-Identifier: MIT
"""Generalists with weights, and how their files are told from those of other models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from intern25.generalist.presets import GENERALISTS as GENERALISTS

if TYPE_CHECKING:
    from intern25.generalist.model import Generalist

KIND = "generalist"
_HEADER = "intern25.model"


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralistCard:
    """One generalist with weights; what it does and the names it knows stand in its file."""

    id: str
    """Name for ``intern25.load`` and ``create_model``."""
    architecture: str
    """Key of ``GENERALISTS``."""
    file: str
    """File name in the package's assets."""
    pretraining: str
    """Data the weights have seen."""
    licence: str
    """Licence of the weights."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Results in percent, by task and figure of ``intern25 eval generalist``."""

    @property
    def packaged_path(self) -> Path:
        """Path of the file inside the package."""
        return Path(str(resources.files("intern25").joinpath("assets", self.file)))

    @property
    def available(self) -> bool:
        """Whether the file was shipped."""
        return self.packaged_path.is_file()


GENERALIST_CARDS: Mapping[str, GeneralistCard] = MappingProxyType(
    {
        card.id: card
        for card in (
            GeneralistCard(
                id="intern25_tiny",
                architecture="intern25_tiny",
                file="intern25_tiny.safetensors",
                pretraining="Caltech-101 (image encoder), then 15 small data sets and rendered pictures",
                licence="research only: NOTICE names the data sets with their licences",
                metrics={
                    "classify_objects.top1_en": 56.7,
                    "vqa_shapes.accuracy": 95.4,
                    "segment_streets.miou_en": 47.5,
                    "detect_cells.ap_en": 51.4,
                    "read_words.exact": 43.3,
                    "drive_scenes.accuracy": 61.8,
                },
            ),
        )
    }
)
"""Id to card."""


def generalist_path(name_or_path: str | Path) -> Path | None:
    """Return the weight file of a generalist that is named by its id or its path; None for other models.

    Raises:
        FileNotFoundError: The model's file was not shipped with this installation.
        ValueError: It is an architecture without weights.
    """
    path, name = Path(name_or_path).expanduser(), str(name_or_path)
    if path.exists():
        return path if is_generalist_file(path) else None
    card = GENERALIST_CARDS.get(name)
    if card is not None:
        if not card.available:
            raise FileNotFoundError(
                f"{name} does not come with this version; train one with intern25 train generalist, and give "
                "the path of its file"
            )
        return card.packaged_path
    if name in GENERALISTS:
        raise ValueError(
            f"there are no weights of {name} yet; train it with intern25 train generalist, and give the path "
            "of its file"
        )
    return None


def is_generalist_file(path: Path) -> bool:
    """Whether the header of a file says that it holds a generalist; damaged and other files do not."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(_HEADER) == json.dumps(KIND)
    except (SafetensorError, OSError):
        return False


def create_generalist(
    name: str,
    *,
    pretrained: bool | str | Path = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **others: Any,
) -> Generalist:
    """Create a generalist by name; ``create_model`` calls this.

    Args:
        name: Key of ``GENERALISTS``.
        pretrained: False for fresh weights, True for those of the package, or a weight file.
        device: Where the model lives; ``"meta"`` builds it without memory.
        dtype: Floating type of the parameters.
        others: Arguments of ``create_model`` that a generalist does not have; all must be unset.

    Raises:
        ValueError: An argument is for other models, or the weights are of another model.
        FileNotFoundError: The weights are not there.
    """
    from intern25.generalist.files import load_generalist
    from intern25.generalist.model import Generalist

    wrong = [f"{key}={value!r}" for key, value in others.items() if value not in (None, False)]
    if wrong:
        raise ValueError(f"{name} is a generalist, which has no {', '.join(wrong)}; leave it out")
    target = torch.device(device) if device is not None else torch.get_default_device()
    if pretrained is False:
        with target:
            return Generalist(GENERALISTS[name]).to(dtype=dtype)
    source = name if pretrained is True else pretrained
    path = generalist_path(source)
    if path is None:
        raise ValueError(f"pretrained={str(source)!r} is no weight file of a generalist")
    model = load_generalist(path).model
    if model.config != GENERALISTS[name]:
        raise ValueError(
            f"the weights {path} are of another generalist than {name}; use intern25.load on them"
        )
    model.requires_grad_(True)
    return model.to(device=target, dtype=dtype).train()
