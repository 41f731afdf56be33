# SPDX-License-Identifier: MIT
"""What all predictors share: batches of pictures of any kind, the device, and the names of classes."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from PIL import Image
from torch import nn

from intern25.data.class_names import ClassNames, class_keys, list_of
from intern25.data.images import ImageSource, read_image
from intern25.data.resizing import Size
from intern25.data.things import things_of

Result = TypeVar("Result")
Picture = tuple[Image.Image, str | None]
"""An upright RGB picture and its path, if it has one."""

USUAL_THRESHOLD = 0.3
"""Smallest score of an object where neither the model nor the caller says one."""

DAMAGED = "the model returns NaN or infinite values: its weights are damaged or unfit"


def predict_each(
    images: ImageSource | Sequence[ImageSource],
    batch_size: int,
    predict: Callable[[Sequence[Picture]], list[Result]],
) -> Result | list[Result]:
    """Read and predict the pictures ``batch_size`` at a time: one result for one, a list for a list."""
    if not isinstance(images, list | tuple):
        return predict([read_picture(cast(ImageSource, images))])[0]
    results: list[Result] = []
    for start in range(0, len(images), batch_size):
        results.extend(predict([read_picture(source) for source in images[start : start + batch_size]]))
    return results


def read_picture(source: ImageSource) -> Picture:
    """Read one picture; the path goes with it."""
    return read_image(source), os.fspath(source) if isinstance(source, str | os.PathLike) else None


def same_size_batches(pictures: Sequence[Image.Image], input_size: Callable[[Size], Size]) -> list[list[int]]:
    """Return the numbers of the pictures whose inputs have one size, size by size: nobody is padded.

    Args:
        pictures: Pictures of any sizes.
        input_size: From the size of a picture, height and width, to that of its input.
    """
    rows: dict[Size, list[int]] = {}
    for row, picture in enumerate(pictures):
        rows.setdefault(input_size((picture.height, picture.width)), []).append(row)
    return list(rows.values())


def check_classes(model: nn.Module, classes: ClassNames) -> None:
    """Raise ValueError when ``model`` has another number of outputs than there are names."""
    outputs = getattr(model, "num_classes", len(classes))
    if outputs != len(classes):
        raise ValueError(f"the model has {outputs} outputs and there are {len(classes)} class names")


def check_batch_size(batch_size: int) -> int:
    """Return ``batch_size``, or raise ValueError when it is below 1."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be 1 or more")
    return batch_size


def check_threshold(threshold: float, *, name: str = "threshold") -> float:
    """Return ``threshold``, or raise ValueError when it is outside 0 to 1."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"{name}={threshold} must be from 0 to 1")
    return threshold


def class_numbers(
    wanted: Sequence[str] | None, classes: ClassNames, *, argument: str = "classes"
) -> tuple[int, ...] | None:
    """Return the numbers of the classes that ``wanted`` names; None for None.

    Convention: a name is that of either language, or the one that a known data set itself uses (``RBC``).

    Args:
        wanted: Names.
        classes: Names of the model's classes.
        argument: What the user calls ``wanted``.

    Raises:
        TypeError: ``wanted`` is one text in place of a list.
        ValueError: A name is none of the model's, or there are none at all.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        raise TypeError(f"{argument}={wanted!r} must be a list of names: {argument}=[{wanted!r}]")
    if not wanted:
        raise ValueError(f"{argument}=[] names no class; leave it out for the usual ones")
    numbers: dict[str, list[int]] = {}
    for number, names in enumerate(zip(classes.en, classes.zh, strict=True)):
        for name in {name.casefold() for name in names}:
            numbers.setdefault(name, []).append(number)
    if any(name.casefold() not in numbers for name in wanted) and (list_name := list_of(classes)):
        for number, key in enumerate(class_keys(list_name)):
            numbers.setdefault(key.casefold(), [number])
    found: list[int] = []
    for name in wanted:
        if name.casefold() not in numbers:
            raise ValueError(_unknown_class(name, numbers, classes))
        found.extend(numbers[name.casefold()])
    return tuple(found)


def thing_numbers(things: Sequence[str] | None, classes: ClassNames) -> frozenset[int]:
    """Return the numbers of the classes that can be counted: those named, else those of the known class list.

    Raises:
        TypeError: ``things`` is one text in place of a list.
        ValueError: A name is none of the model's, or nobody has said which of these classes are things.
    """
    named = class_numbers(things, classes, argument="things")
    if named is not None:
        return frozenset(named)
    known = things_of(classes)
    if known is None:
        shown = ", ".join(classes.en[:4]) + (", ..." if len(classes) > 4 else "")
        raise ValueError(
            f"nobody has said which of the {len(classes)} classes ({shown}) are things, that can be counted; "
            f"name them: things=[{classes.en[-1]!r}, ...], or --things {shlex.quote(classes.en[-1])} ..."
        )
    return known


def device_of(model: nn.Module, device: torch.device | None) -> torch.device:
    """Return ``device``, or that of the parameters of ``model``."""
    return device or next((p.device for p in model.parameters()), torch.device("cpu"))


def choose_device(device: str | torch.device | None) -> torch.device:
    """Return the device asked for if it is there, else the best there is.

    Raises:
        ValueError: ``device`` is no device, or not on this machine.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is no device; use cpu, cuda, cuda:1 or mps") from error
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if (chosen.index or 0) >= present.get(chosen.type, 0):
        have = ", ".join(name for name, count in present.items() if count)
        raise ValueError(f"device={str(device)!r} is not on this machine; it has {have}")
    return chosen


def _unknown_class(name: str, numbers: dict[str, list[int]], classes: ClassNames) -> str:
    close = difflib.get_close_matches(name.casefold(), numbers, n=1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    else:
        shown = ", ".join(classes.en[:8]) + (", ..." if len(classes) > 8 else "")
        hint = f"its {len(classes)} classes: {shown}"
    return f"the model has no class {name!r}; {hint}"
