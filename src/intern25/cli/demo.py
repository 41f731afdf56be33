# SPDX-License-Identifier: MIT
"""``intern25 demo``: a web page on this machine for everything that a generalist does."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from intern25.cli.exits import DONE
from intern25.cli.options import parse
from intern25.cli.picture_options import check_model
from intern25.cli.progress import track
from intern25.defaults import DEFAULT_GENERALIST

_DESCRIPTION = (
    "Serve a web page, in Chinese and English, on which a generalist answers questions about a picture, "
    "describes it, finds and cuts out things, reads, names, and searches an album. It works without a "
    "network and is seen on this machine alone unless --host says otherwise. Ctrl-C ends it. "
    "Exit status: 0 ended by Ctrl-C, 2 nothing was served."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoOptions:
    """Options of ``intern25 demo``."""

    model: str = DEFAULT_GENERALIST
    """Weight file of a generalist, or its name."""
    album: Path | None = None
    """Folder of pictures and videos to search; it is indexed first, or its index brought up to date."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 7860
    """Port to listen on."""
    language: Literal["zh", "en"] | None = None
    """Language in which the page opens; by default that of the browser. The page has a switch."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; by default the best there is."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    options = parse(DemoOptions, arguments, command="demo", description=_DESCRIPTION)
    # Read when gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ImportError("the page needs the demo extra: pip install 'intern25[demo]'") from error
    from intern25.demo.serving import check_port, start

    check_port(options.host, options.port)
    check_model(options.model, DEFAULT_GENERALIST, task="pictures and words")
    page = _page(options)
    address = start(page, host=options.host, port=options.port)
    print(f"intern25 demo: {address} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        page.close(verbose=False)
    return DONE


def _page(options: DemoOptions) -> Any:
    from intern25.demo.album import open_album
    from intern25.demo.page import build_page
    from intern25.predictors import GeneralistPredictor, load_as

    predictor = load_as(GeneralistPredictor, options.model, device=options.device)
    album = None
    if options.album is not None:
        album = open_album(
            options.album,
            options.model,
            device=options.device,
            progress=lambda files, total: track(files, total=total, label="index"),
        )
    return build_page(predictor, name=options.model, album=album, language=options.language)
