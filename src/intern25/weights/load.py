# SPDX-License-Identifier: MIT
"""Load a checkpoint of any container and layout into a model, and say exactly what happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from intern25.weights.checkpoint import read_checkpoint
from intern25.weights.matching import ClassMismatch, Match, match

_FRESH_HEAD_SCALE = 1e-3
"""Factor of a fresh head put on trained weights, as in the official fine-tuning."""
_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """What came from a file into a model; names are those of the model unless said otherwise."""

    source: Path
    """File or folder."""
    container: str
    """What was read from it."""
    layout: str
    """Whose names it uses: ``"intern25"``, ``"official"`` or ``"hugging_face"``."""
    loaded: tuple[str, ...]
    """Tensors that were set."""
    missing: tuple[str, ...]
    """Tensors of the model that the file lacks; they keep their values."""
    unexpected: tuple[str, ...]
    """Tensors of the file, by its names, that the model has no place for."""
    ignored: tuple[str, ...]
    """Tensors of the file, by its names, left out on purpose: other heads, copies of an averaging hook."""
    converted: tuple[str, ...]
    """Changes made on the way, in words."""
    notes: tuple[str, ...]
    """What a user should know, in words."""

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of the model was set and none of the file was left over."""
        return not self.missing and not self.unexpected

    def __str__(self) -> str:
        lines = [f"{self.source}: {self.container}, {self.layout} layout, {len(self.loaded)} tensors loaded"]
        for title, names in (
            ("missing in the file", self.missing),
            ("unexpected in the file", self.unexpected),
            ("ignored", self.ignored),
        ):
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                lines.append(f"  {title} ({len(names)}): {', '.join(names[:_SHOWN])}{more}")
        lines.extend(f"  converted: {text}" for text in self.converted)
        lines.extend(f"  note: {text}" for text in self.notes)
        return "\n".join(lines)


def load_checkpoint(
    model: nn.Module,
    path: str | Path,
    *,
    on_class_mismatch: ClassMismatch = "error",
    prefer_ema: bool = False,
    allow_missing: bool = False,
) -> LoadReport:
    """Load weights into ``model`` from any official container or layout.

    Reads ``.pth``, ``.pt``, ``.bin``, safetensors and Hugging Face folders; the names of the official code,
    of Hugging Face and of this package; prefixes such as ``module.`` and ``backbone.``. No code of the file
    is run. The model changes only when everything fits.

    Args:
        model: A backbone, classifier, detector or segmenter of this package, or a module with an InternImage
            inside. From a file of another kind only the backbone is taken, and the report says so: this is
            how a detector starts from a classifier.
        path: File or folder.
        on_class_mismatch: What to do when file and model have another number of classes: ``"error"``,
            ``"reset"`` (a small fresh head for classifiers; the layers of other models keep their values) or
            ``"22k_to_1k"`` (the ImageNet-1K rows of a 21841-way head).
        prefer_ema: Take the averaged weights of a training checkpoint.
        allow_missing: Accept a file that lacks tensors of the backbone.

    Returns:
        What was loaded, missing, unexpected, ignored and converted.

    Raises:
        FileNotFoundError: Nothing is at ``path``.
        ValueError: It cannot be read, or does not fit the model.

    Example:
        >>> print(load_checkpoint(model, "internimage_t_1k_224.pth"))  # doctest: +SKIP
    """
    checkpoint = read_checkpoint(path, prefer_ema=prefer_ema)
    found = match(model, checkpoint, on_class_mismatch=on_class_mismatch, prefer_ema=prefer_ema)
    if not allow_missing:
        found.require_backbone()
    copy_into(model, found)
    return report_of(found)


def copy_into(model: nn.Module, found: Match) -> None:
    """Copy matched tensors into the model's own memory, casting to its data types."""
    if found.reset_head:
        reset_head(model)
    targets = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in found.tensors.items():
            targets[name].copy_(tensor)


def reset_head(model: nn.Module) -> None:
    """Give a classifier the small fresh last layer with which the authors start fine-tuning."""
    model.reset_classifier(model.num_classes)  # type: ignore[operator]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.split(".")[0] in ("classifier", "metadata_classifier"):
                parameter.mul_(_FRESH_HEAD_SCALE)


def report_of(found: Match) -> LoadReport:
    """The public form of a match."""
    return LoadReport(
        source=found.checkpoint.path,
        container=found.checkpoint.container,
        layout=found.layout,
        loaded=tuple(found.tensors),
        missing=found.missing,
        unexpected=found.unexpected,
        ignored=found.ignored,
        converted=found.converted,
        notes=found.notes,
    )
