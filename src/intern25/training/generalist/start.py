# SPDX-License-Identifier: MIT
"""The model that a run starts from, and which of its weights it trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

from intern25.data.generalist_settings import SETTINGS, GeneralistSettings
from intern25.generalist.files import has_text_core, load_generalist, read_extra
from intern25.generalist.language_core import LanguageCore, LanguageCoreConfig
from intern25.generalist.language_tokenizer import LanguageTokenizer
from intern25.generalist.model import Generalist
from intern25.generalist.presets import GENERALISTS
from intern25.generalist.prompt_tuning import name_classes, prepare_prompt_tuning
from intern25.generalist.tasks.classification import ClassificationTask
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture
from intern25.weights.create import create_model
from intern25.weights.generalists import generalist_path

_OF_TEXT_CORE = ("text_core.", "text_projection.", "vocabulary_projection.")
"""Beginnings of the names of weights that fit one text core only."""


def starting_model(config: GeneralistTrainConfig, mixture: Mixture) -> Generalist:
    """Return the generalist with its starting weights, frozen where it is not trained.

    Args:
        config: The run.
        mixture: Its tasks, whose classes get heads in prompt tuning.

    Raises:
        ValueError: Weights cannot be read, or do not fit what is asked for.
        ImportError: A language model is asked for and the extra is missing.
    """
    model = _loaded(config) if config.pretrained else _fresh(config)
    if config.prompt_tuning:
        classes = {
            part.task.name: part.task.classes
            for part in mixture.parts
            if isinstance(part.task, ClassificationTask)
        }
        counts = {name: len(names) for name, names in classes.items()}
        prepare_prompt_tuning(model, config.prompt_tuning, counts)
        name_classes(model, classes)
    return model


def starting_tokenizer(config: GeneralistTrainConfig) -> Tokenizer:
    """Return the tokenizer of the model that a run starts from.

    Raises:
        ValueError: There is no language model of that name, or the weight file cannot be read.
        ImportError: A language model is asked for and the extra is missing.
    """
    if config.text_core:
        # It has the interface of our own.
        return cast(Tokenizer, LanguageTokenizer(config.text_core))
    return load_generalist(_file(config)).tokenizer if config.pretrained else Tokenizer.packaged()


def saved_tokenizer(config: GeneralistTrainConfig) -> Tokenizer | None:
    """Return the tokenizer that the run's files must hold; None where the model tells it.

    Raises:
        ValueError: The weight file cannot be read.
    """
    if config.text_core or not config.pretrained or has_text_core(_file(config)):
        return None
    tokenizer = load_generalist(_file(config)).tokenizer
    return None if tokenizer.to_json() == Tokenizer.packaged().to_json() else tokenizer


def starting_settings(config: GeneralistTrainConfig) -> GeneralistSettings:
    """Return the settings in the weight file that a run starts from; the usual ones where there are none.

    Raises:
        FileNotFoundError: The weight file is not there.
        ValueError: It cannot be read, or its settings are none.
    """
    text = read_extra(_file(config)).get(SETTINGS) if config.pretrained else None
    return GeneralistSettings() if text is None else GeneralistSettings.from_json(text)


def trained_share(model: Generalist) -> str:
    """How many of the parameters are trained, as a line of text; empty where all are."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, trained = sum(size for size, _ in sizes), sum(size for size, flag in sizes if flag)
    if trained == total:
        return ""
    return f"trained: {trained:,} of {total:,} parameters ({100 * trained / total:.2f} %)"


def _file(config: GeneralistTrainConfig) -> Path:
    """The weights to start from, which may be named by their id; what is no generalist's is refused later."""
    return generalist_path(config.pretrained) or Path(config.pretrained)


def _loaded(config: GeneralistTrainConfig) -> Generalist:
    if not config.text_core:
        return load_generalist(_file(config)).model
    if not has_text_core(_file(config)):
        return with_text_core(load_generalist(_file(config)).model, _core(config))
    model = load_generalist(_file(config), text_core=config.text_core).model
    rank = model.text_core.config.lora_rank if isinstance(model.text_core, LanguageCore) else 0
    if config.lora not in (0, rank):
        raise ValueError(f"{config.pretrained} has LoRA of rank {rank}, not lora={config.lora}")
    return model


def _fresh(config: GeneralistTrainConfig) -> Generalist:
    if config.model not in GENERALISTS:
        raise ValueError(f"unknown generalist {config.model!r}; choose one of {', '.join(GENERALISTS)}")
    core = _core(config) if config.text_core else None
    model = Generalist(GENERALISTS[config.model], text_core=core)
    if config.pretrained_backbone:
        _load_backbone(model, config.pretrained_backbone)
    return model


def _load_backbone(model: Generalist, name: str) -> None:
    """Take the image encoder's weights from a published model."""
    source = create_model(name, pretrained=True, features_only=True)
    try:
        model.backbone.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"pretrained_backbone={name!r} is no image encoder of this architecture; name another one, or "
            "leave it empty for fresh weights"
        ) from error


def _core(config: GeneralistTrainConfig) -> LanguageCore:
    return LanguageCore(LanguageCoreConfig(name_or_path=config.text_core, lora_rank=config.lora))


def with_text_core(model: Generalist, core: LanguageCore) -> Generalist:
    """Return the same generalist with another text core; the projections from and to it are fresh.

    Args:
        model: Gives all other weights.
        core: The language model.
    """
    changed = Generalist(dataclasses.replace(model.config), text_core=core)
    kept = {name: t for name, t in model.state_dict().items() if not name.startswith(_OF_TEXT_CORE)}
    changed.load_state_dict(kept, strict=False)
    return changed.eval()
