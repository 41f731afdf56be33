# SPDX-License-Identifier: MIT
"""What the commands of ``intern25 search`` share: the model, the query, the page of thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from intern25.defaults import DEFAULT_GENERALIST

if TYPE_CHECKING:
    from PIL import Image

    from intern25.search import Match
    from intern25.search.embedder import Embedder

_SHEET_SUFFIXES = (".jpg", ".jpeg", ".png")


def check_page(query: str, *, top: int, sheet: Path | None, font: Path | None) -> None:
    """Raise ValueError for what is wrong whatever there is to find."""
    if not query.strip():
        raise ValueError("the query is empty; write what to look for, or name a picture")
    if top < 1:
        raise ValueError(f"--top {top} must be 1 or more")
    if font is not None and not font.is_file():
        raise ValueError(f"--font {font} is no file; give the path of a .ttf, .ttc or .otf")
    if sheet is None:
        return
    if sheet.suffix.lower() not in _SHEET_SUFFIXES:
        raise ValueError(f"--sheet {sheet} must end in {', '.join(_SHEET_SUFFIXES)}")
    if not sheet.parent.is_dir():
        raise ValueError(f"--sheet {sheet}: the folder {sheet.parent} does not exist")


def read_query(query: str) -> str | Image.Image:
    """Return the picture that the query names, or else its words."""
    from intern25.data.images import read_image

    try:
        is_file = Path(query).is_file()
    except (OSError, ValueError):  # Too long for a path, or with characters that none has.
        is_file = False
    return read_image(query) if is_file else query


def usual_model(command: str, *, because: str = "") -> str:
    """Return the name of the generalist that comes with this version.

    Args:
        command: What to type, up to ``--model``.
        because: Why a model is needed.

    Raises:
        ValueError: None comes with it.
    """
    from intern25.weights.generalists import GENERALIST_CARDS

    if GENERALIST_CARDS[DEFAULT_GENERALIST].available:
        return DEFAULT_GENERALIST
    raise ValueError(
        f"{because}no model that searches comes with this version; name a model: {command} --model MODEL, a "
        "weight file of a generalist or a model of the CLIP kind"
    )


def opened(model: str, device: str | None) -> Embedder:
    """Open the model."""
    from intern25.search import opening

    return opening.open_embedder(model, device=device)


def draw_sheet(
    sheet: Path, album: Path, query: str | Image.Image, matches: Sequence[Match], *, font: Path | None
) -> None:
    """Write the page of thumbnails, whole or not at all."""
    from intern25.data.writing import write_whole
    from intern25.search import ContactSheet

    drawn = ContactSheet(album=album, matches=matches, query=query, font=font).draw()
    kind = "PNG" if sheet.suffix.lower() == ".png" else "JPEG"
    write_whole(sheet, lambda temporary: drawn.save(temporary, format=kind, quality=90))
