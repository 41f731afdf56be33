# SPDX-License-Identifier: MIT
"""From the settings of a run to its tasks: those of data packs, or kinds of tasks from a user's own data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from intern25.data.packs import PackFolder
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.mixture import Mixture
from intern25.training.generalist.own.settings import OwnSettings
from intern25.training.generalist.own_data import KINDS, names_kinds, own_mixture
from intern25.training.generalist.packs.settings import PackSettings
from intern25.training.generalist.packs.tiny import tiny_mixture

PACKS = frozenset(
    {
        "bccd", "caltech101_128", "camvid", "cifar10_12k", "coco_mini491", "daquar", "dsb2018_256",
        "easy_vqa", "flickr8k_1k", "gtsrb32", "nlvr", "scene_text_words", "traffic_light_crops",
        "traffic_lights_cn", "tt100k_signs",
    }
)  # fmt: skip
"""Names of the data packs that :func:`intern25.training.generalist.packs.tiny.tiny_mixture` knows."""
PRETRAIN = "pretrain"
PRETRAIN_PACKS = ("caltech101_128", "flickr8k_1k", "coco_mini491")
"""Packs with pictures to pre-train on."""


def choose_mixture(
    config: GeneralistTrainConfig, tokenizer: Tokenizer, report: Callable[[str], None]
) -> Mixture:
    """Return the tasks of a run.

    A folder of data packs gives the tasks of those packs, and ``pretrain``. Other data, and data that say
    what they are for (``vqa=path``), give the kinds of tasks that are asked for.

    Args:
        config: The run.
        tokenizer: Turns text into tokens.
        report: Is told what was left out.

    Raises:
        ValueError: The data cannot be used, or do not give a task that is asked for.
    """
    own = OwnSettings(
        tokenizer=tokenizer,
        seed=config.seed,
        evaluate_most=config.evaluate_most,
        validation_fraction=config.validation_fraction,
        image_size=config.image_size,
        skip_bad=config.skip_bad,
        dense=config.pretrain_dense,
        report=report,
    )
    are_kinds = bool(config.tasks) and all(name in KINDS for name in config.tasks)
    packs = packs_of(config.data)
    if names_kinds(config.data) or (are_kinds and packs is None):
        return own_mixture(config.data, config.tasks, own)
    settings = PackSettings(
        tokenizer=tokenizer,
        seed=config.seed,
        evaluate_most=config.evaluate_most,
        scenes=config.scenes,
    )
    if packs is None or PRETRAIN not in config.tasks:
        return tiny_mixture(config.data, settings, tasks=config.tasks)
    found = [f"{PRETRAIN}={packs.path(name)}" for name in PRETRAIN_PACKS if packs.path(name) is not None]
    if not found:
        raise ValueError(f"{config.data} has no pack to pre-train on: {', '.join(PRETRAIN_PACKS)}")
    first = own_mixture(",".join(found), (), own)
    others = tuple(name for name in config.tasks if name != PRETRAIN)
    if not others:
        return first
    return Mixture((*first.parts, *tiny_mixture(config.data, settings, tasks=others).parts))


def packs_of(data: str) -> PackFolder | None:
    """The data packs of a folder; None where it has none that is known."""
    if not Path(data).is_dir():
        return None
    try:
        packs = PackFolder.open(data)
    except ValueError:
        return None
    return packs if PACKS & packs.paths.keys() else None
