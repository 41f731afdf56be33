# SPDX-License-Identifier: MIT
"""Weight files of generalists whose text core is a language model: what the base model has stays out.

The file names the base model and holds LoRA and the rest of the generalist. A file may come from anybody, so
what it names is only taken from a folder on this machine, and from the hub where the user says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from intern25.generalist.language_core import LanguageCore, LanguageCoreConfig
from intern25.generalist.model import Generalist

PREFIX = "text_core."
_LORA = ".lora_"
_MARK_ROWS = 64


def saved_tensors(model: Generalist) -> dict[str, Tensor]:
    """Tensors that a weight file holds: all but those of a frozen language model.

    Raises:
        ValueError: LoRA was merged into the language model, which then is in no file.
    """
    tensors: dict[str, Tensor] = model.state_dict()
    core = model.text_core
    if not isinstance(core, LanguageCore) or not core.config.freeze:
        return tensors
    kept = {name: t for name, t in tensors.items() if not name.startswith(PREFIX) or _LORA in name}
    if core.config.lora_rank and not any(name.startswith(PREFIX) for name in kept):
        raise ValueError("LoRA is merged into the language model; save the generalist before merge_lora()")
    return kept


def core_text(model: Generalist) -> str | None:
    """What a header says of the language model; None for a text core of our own."""
    core = model.text_core
    if not isinstance(core, LanguageCore):
        return None
    return json.dumps({**dataclasses.asdict(core.config), "mark": _mark(core) if core.config.freeze else ""})


def core_of_text(text: str, path: Path, text_core: str | None) -> LanguageCore:
    """Load the language model that a header names.

    Args:
        text: What :func:`core_text` wrote.
        path: Weight file, for messages.
        text_core: Folder or hub repository to take in place of the one that the file names.

    Raises:
        ValueError: The header cannot be read, the model is not there, or it is another one.
    """
    try:
        values: dict[str, object] = dict(json.loads(text))
        mark = str(values.pop("mark"))
        targets = values.pop("lora_targets")
        config = LanguageCoreConfig(**values, lora_targets=tuple(targets))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the text core in its header cannot be read ({error})") from error
    name = text_core or config.name_or_path
    if text_core is None and not Path(name).is_dir():
        raise ValueError(
            f"{path} was trained with the language model {name!r}, which is no folder here; say where it is "
            "with text_core= (--text-core), a folder or a hub repository"
        )
    core = LanguageCore(dataclasses.replace(config, name_or_path=name))
    if mark and mark != _mark(core):
        raise ValueError(f"{path} was trained with another language model than the one at {name!r}")
    return core


def without_base(model: Generalist, missing: Sequence[str]) -> list[str]:
    """Those of the ``missing`` tensors that a file must have: not those of the frozen language model."""
    core = model.text_core
    if not isinstance(core, LanguageCore) or not core.config.freeze:
        return list(missing)
    return [name for name in missing if not name.startswith(PREFIX) or _LORA in name]


def _mark(core: LanguageCore) -> str:
    """Tells language models apart: a hash of the first token vectors, which LoRA does not change."""
    rows = core.embedding.weight[:_MARK_ROWS].detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]
