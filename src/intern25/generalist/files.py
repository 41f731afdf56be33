# SPDX-License-Identifier: MIT
"""Weight file of a generalist: safetensors with the architecture in its header.

The tokenizer is there too, where it is not the package's, and the prompts of prompt tuning. A frozen language
model in the place of the text core is named and left out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from intern25._version import __version__
from intern25.backbones.internimage import InternImageConfig
from intern25.data.class_names import ClassNames
from intern25.data.tensor_files import write_tensors
from intern25.generalist.config import GeneralistConfig, ProposalConfig, TextConfig
from intern25.generalist.core_files import core_of_text, core_text, saved_tensors, without_base
from intern25.generalist.language_core import LanguageCore
from intern25.generalist.language_tokenizer import LanguageTokenizer
from intern25.generalist.model import Generalist
from intern25.generalist.prompt_tuning import (
    add_prompts,
    class_heads_of,
    class_names_of,
    name_classes,
    prompts_of,
)
from intern25.generalist.text_transformer import TextTransformer
from intern25.generalist.tokenizer import Tokenizer
from intern25.layers.uninitialised import Uninitialised

KIND = "generalist"
_PREFIX = "intern25."
_EXTRA_PREFIX = "intern25.extra."


@dataclass(frozen=True, slots=True)
class LoadedGeneralist:
    """A generalist with its tokenizer and what its file says of it."""

    model: Generalist
    """In evaluation mode, float32."""
    tokenizer: Tokenizer
    """Turns text into its tokens."""
    extra: Mapping[str, str]
    """Free text of the writer, such as licence and recipe."""


def save_generalist(
    path: str | Path,
    model: Generalist,
    *,
    tokenizer: Tokenizer | None = None,
    dtype: torch.dtype | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a generalist with everything needed to use it again; the file appears whole or not at all.

    Args:
        path: Destination, ``.safetensors``.
        model: The generalist.
        tokenizer: Another one than the package's; a language model's is found with the model.
        dtype: Floating-point type of the file, such as ``torch.float16``; None keeps the model's.
        extra: Further text for the header.

    Raises:
        TypeError: The text core is neither the package's nor a language model.
        ValueError: ``path`` has another suffix, the tokenizer more tokens than the model, or LoRA was merged
            into a language model.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must end in .safetensors")
    _check_text_side(model, tokenizer)
    header = {
        "format": "pt",
        f"{_PREFIX}version": __version__,
        f"{_PREFIX}model": json.dumps(KIND),
        f"{_PREFIX}config": json.dumps(dataclasses.asdict(model.config)),
        **{_EXTRA_PREFIX + name: text for name, text in (extra or {}).items()},
    }
    if tokenizer is not None:
        header[f"{_PREFIX}tokenizer"] = tokenizer.to_json()
    core = core_text(model)
    if core is not None:
        header[f"{_PREFIX}text_core"] = core
    if prompts_of(model):
        names = {task: dataclasses.asdict(classes) for task, classes in class_names_of(model).items()}
        tuned = {"prompts": prompts_of(model), "classes": class_heads_of(model), "names": names}
        header[f"{_PREFIX}prompt_tuning"] = json.dumps(tuned, ensure_ascii=False)
    tensors = {
        name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        for name, tensor in saved_tensors(model).items()
    }
    write_tensors(path, tensors, header)


def _check_text_side(model: Generalist, tokenizer: Tokenizer | None) -> None:
    """Refuse what could be written but not be used again."""
    core = model.text_core
    if not isinstance(core, TextTransformer | LanguageCore):
        raise TypeError(
            f"cannot save a generalist whose text core is a {type(core).__name__}: its architecture is not "
            "in the configuration; save its state_dict() instead"
        )
    known = core.embedding.num_embeddings
    if tokenizer is not None and tokenizer.vocabulary_size > known:
        raise ValueError(f"the tokenizer has {tokenizer.vocabulary_size} tokens, but the model knows {known}")


def load_generalist(path: str | Path, *, text_core: str | None = None) -> LoadedGeneralist:
    """Read what :func:`save_generalist` wrote.

    Args:
        path: Weight file.
        text_core: Folder or hub repository of the language model that the file was trained with. Without it
            the one that the file names is taken, but only from a folder: a file alone downloads nothing.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is no weight file of a generalist, it is damaged, or its language model is not there.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weight file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            if header.get(f"{_PREFIX}model") != json.dumps(KIND):
                raise ValueError(f"{path} holds no generalist; train one with intern25 train generalist")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from error
    model = _empty_model(header, path, text_core)
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    try:
        lacking, strange = model.load_state_dict(floats, assign=True, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its own architecture: {error}") from error
    lacking = without_base(model, lacking)
    if lacking or strange:
        raise ValueError(
            f"{path} does not fit its own architecture: {len(lacking)} tensors are missing {lacking[:3]}, "
            f"{len(strange)} unexpected {strange[:3]}"
        )
    return LoadedGeneralist(
        model=model.eval(),
        tokenizer=_tokenizer(model, header.get(f"{_PREFIX}tokenizer")),
        extra=_extra(header),
    )


def has_text_core(path: str | Path) -> bool:
    """Whether a weight file names a language model as its text core.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is no safetensors file.
    """
    return f"{_PREFIX}text_core" in _header(path)


def read_extra(path: str | Path) -> dict[str, str]:
    """What the writer of a weight file said of it, without reading its weights; errors as above."""
    return _extra(_header(path))


def _extra(header: Mapping[str, str]) -> dict[str, str]:
    return {k.removeprefix(_EXTRA_PREFIX): v for k, v in header.items() if k.startswith(_EXTRA_PREFIX)}


def _header(path: str | Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such weight file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from error


def tokenizer_of(model: Generalist) -> Tokenizer:
    """Tokenizer of a generalist that has no other: that of its language model, or the package's."""
    core = model.text_core
    if isinstance(core, LanguageCore):
        # It has the interface of our own.
        return cast(Tokenizer, LanguageTokenizer(core.config.name_or_path))
    return Tokenizer.packaged()


def _tokenizer(model: Generalist, text: str | None) -> Tokenizer:
    return tokenizer_of(model) if text is None else Tokenizer(text)


def _empty_model(header: Mapping[str, str], path: Path, text_core: str | None) -> Generalist:
    """A model without values, whose tensors are then those of the file: nothing is initialised in vain."""
    try:
        config = generalist_from_json(header[f"{_PREFIX}config"])
        tuned = json.loads(header.get(f"{_PREFIX}prompt_tuning", "{}"))
        prompts, classes = int(tuned.get("prompts", 0)), dict(tuned.get("classes", {}))
        if not all(isinstance(number, int) and "." not in name for name, number in classes.items()):
            raise ValueError(f"classes={classes}")
        names = {task: ClassNames(**parts) for task, parts in tuned.get("names", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the architecture in its header cannot be read ({error})") from error
    named = header.get(f"{_PREFIX}text_core")
    if named is None and text_core is not None:
        raise ValueError(f"{path} has a text core of its own, which {text_core!r} cannot replace")
    core = None if named is None else core_of_text(named, path, text_core)
    with torch.device("meta"), Uninitialised():
        model = Generalist(config, text_core=core)
        if prompts:
            add_prompts(model, prompts, classes)
    try:
        name_classes(model, names)
    except ValueError as error:
        raise ValueError(f"{path}: the classes in its header cannot be read ({error})") from error
    return model


def generalist_from_json(text: str) -> GeneralistConfig:
    """Architecture from the JSON of ``dataclasses.asdict``."""
    values: dict[str, Any] = json.loads(text)
    parts = {"backbone": InternImageConfig, "text": TextConfig, "proposals": ProposalConfig}
    return GeneralistConfig(**{k: parts[k](**v) if k in parts else v for k, v in values.items()})
