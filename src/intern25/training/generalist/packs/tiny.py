# SPDX-License-Identifier: MIT
"""The mixture that trains ``intern25_tiny``: every task that the data packs of a folder allow.

A data set that the folder does not have leaves its task out. Pictures for validation never train: where there
are none, some training pictures are held out by the seed. ``held_out="test"`` scores on the test pictures
instead, once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from intern25.data.multimodal.templates import SIGN_TEMPLATES
from intern25.data.packs import PackFolder
from intern25.training.generalist.mixture import Mixture
from intern25.training.generalist.packs import (
    captions,
    drawn_questions,
    objects,
    pictures,
    questions,
    regions,
    scenes,
    words,
)
from intern25.training.generalist.packs.settings import Builder, PackSettings

BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "classify_objects": pictures.classify(
            "classify_objects",
            "caltech101_128",
            128,
            32,
            1.8,
            mix=0.5,
            min_scale=0.35,
            flip=0.5,
            jitter=0.3,
            turn=12,
        ),
        "classify_signs_de": pictures.classify(
            "classify_signs_de",
            "gtsrb32",
            64,
            64,
            2.0,
            templates=SIGN_TEMPLATES,
            shift=0.12,
            jitter=0.5,
            turn=12,
            blur=0.3,
        ),
        "classify_signs_cn": pictures.classify(
            "classify_signs_cn",
            "tt100k_signs",
            64,
            64,
            0.3,
            templates=SIGN_TEMPLATES,
            shift=0.12,
            jitter=0.5,
            turn=8,
            blur=0.2,
        ),
        "classify_lights": pictures.classify(
            "classify_lights", "traffic_light_crops", 64, 32, 0.1, shift=0.1, jitter=0.3, flip=0.5
        ),
        "vqa_shapes": questions.shapes,
        "vqa_rooms": questions.rooms,
        "reasoning": questions.reasoning,
        "caption": captions.caption,
        "retrieval": captions.retrieval,
        "search_kinds": captions.kinds,
        "read_words": words.words,
        "read_rendered": words.rendered,
        "detect_cells": objects.cells,
        "detect_lights": objects.lights,
        "detect_nuclei": objects.nuclei,
        "detect_things": objects.things,
        "segment_streets": regions.streets,
        "drive_streets": drawn_questions.streets,
        "drive_junctions": drawn_questions.junctions,
        "vqa_things": drawn_questions.things,
        "drive_scenes": scenes.questions,
        "name_scenes": scenes.names,
        "caption_scenes": scenes.captions,
        "retrieval_scenes": scenes.retrieval,
        "detect_scenes": scenes.objects,
        "segment_scenes": scenes.regions,
        "refer_scenes": scenes.references,
    }
)
"""Name of a task to what builds it."""


def tiny_mixture(folder: str | Path, settings: PackSettings, *, tasks: tuple[str, ...] = ()) -> Mixture:
    """Return the tasks that the packs of ``folder`` allow.

    Args:
        folder: Folder of data packs.
        settings: What all tasks share.
        tasks: Names of tasks, or beginnings of them; empty = all.

    Raises:
        ValueError: There is no pack, one cannot be read, or a name fits no task.
    """
    for name in tasks:
        if not any(known.startswith(name) for known in BUILDERS):
            raise ValueError(f"there is no task {name!r}; the tasks are {', '.join(BUILDERS)}")
    packs = PackFolder.open(folder)
    parts = [
        build(packs, settings) for name, build in BUILDERS.items() if not tasks or name.startswith(tasks)
    ]
    return Mixture(tuple(part for part in parts if part is not None))
