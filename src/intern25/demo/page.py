# SPDX-License-Identifier: MIT
"""The page: a picture on the left, a tab for each task on the right, a switch for the language on top."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from intern25.backbones.classifier import num_parameters
from intern25.demo.album import Album
from intern25.demo.events import WAITING
from intern25.demo.inputs import sample_street
from intern25.demo.picture_input import PictureInput
from intern25.demo.tabs.album import add_album
from intern25.demo.tabs.asking import add_asking
from intern25.demo.tabs.desk import Desk
from intern25.demo.tabs.finding import add_finding
from intern25.demo.tabs.naming import add_naming
from intern25.demo.tabs.reading import add_reading
from intern25.demo.texts import Language
from intern25.demo.wording import Wording
from intern25.generalist.model import Generalist
from intern25.predictors import GeneralistPredictor

_KEPT_SECONDS = 3600
# The page opens in the language of the browser unless one was asked for.
_LANGUAGE_OF_BROWSER = "() => navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'"
_QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def build_page(
    predictor: GeneralistPredictor,
    *,
    name: str,
    album: Album | None = None,
    language: Language | None = None,
) -> Any:
    """Return the page, a ``gradio.Blocks`` that is not served yet.

    Args:
        predictor: The model of all tabs.
        name: What the page calls it.
        album: What the last tab searches.
        language: Language in which it opens; None for that of the browser.
    """
    wording = Wording(language or "en")
    # Uploads and drawings are deleted an hour later, and when the page is closed.
    kept = (_KEPT_SECONDS, _KEPT_SECONDS)
    with gr.Blocks(title="intern25", analytics_enabled=False, delete_cache=kept, fill_width=True) as page:
        with gr.Row(equal_height=True, elem_id="top"):
            with gr.Column(scale=5, min_width=320):
                wording.made(gr.Markdown, lambda t: {"value": f"# intern25\n{t.subtitle}"})
            switch = gr.Radio(
                [("中文", "zh"), ("English", "en")],
                value=wording.texts.language,
                show_label=False,
                container=False,
                scale=0,
                min_width=220,
                elem_id="language",
            )
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                picture = _add_picture(wording)
            with gr.Column(scale=3, min_width=360), gr.Tabs():
                desk = Desk(predictor, wording, switch, picture)
                add_asking(desk)
                add_finding(desk)
                add_reading(desk)
                add_naming(desk)
                add_album(desk, album)
        facts = _facts(predictor, name)
        wording.made(gr.Markdown, lambda t: {"value": t.footer.format(**facts)}, elem_classes="quiet")
        wording.follow(switch)
        if language is None:
            page.load(None, None, switch, js=_LANGUAGE_OF_BROWSER, **_QUICK)
    return page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)


def _add_picture(wording: Wording) -> Any:
    picture = wording.made(
        PictureInput,
        lambda t: {"label": t.picture, "placeholder": t.picture_hint},
        sources=["upload", "clipboard", "webcam"],
        buttons=["fullscreen"],
        height=420,
        elem_id="picture",
    )
    sample = wording.made(gr.Button, lambda t: {"value": t.sample}, elem_id="sample", size="md")
    numbers = count(1)
    sample.click(lambda: sample_street(next(numbers)), None, picture, **_QUICK)
    return picture


def _facts(predictor: GeneralistPredictor, name: str) -> dict[str, str]:
    # Counted as it was trained: its inference-only form has no parameters in some parts.
    with torch.device("meta"):
        model = Generalist(predictor.model.config, text_core=predictor.model.text_core)
    # A path says more about the machine than visitors need to know.
    shown = Path(name).name
    millions = num_parameters(model) / 1e6
    return {"model": shown, "millions": f"{millions:.1f}", "device": str(predictor.device).upper()}
