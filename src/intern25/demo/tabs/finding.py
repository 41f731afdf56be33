# SPDX-License-Identifier: MIT
"""The tab of boxes and masks."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from intern25.demo.events import on
from intern25.demo.finding import MODES, Mode, find, usual_threshold
from intern25.demo.tabs.desk import Desk
from intern25.demo.texts import TEXTS, Language, Texts


def add_finding(desk: Desk) -> None:
    """Add the tab to the page that is being built."""
    made, predictor = desk.wording.made, desk.predictor
    with made(gr.Tab, lambda t: {"label": t.find_tab}, id="find"):
        names = made(
            gr.Textbox,
            lambda t: {"label": t.names, "placeholder": t.names_hint, "info": t.names_info},
            max_length=2000,
            elem_id="names",
        )
        with gr.Row():
            mode = made(
                gr.Radio,
                lambda t: {"label": t.mode, "choices": _choices(t)},
                value=MODES[0],
                scale=5,
                elem_id="mode",
            )
            threshold = made(
                gr.Slider,
                lambda t: {"label": t.threshold},
                minimum=0.0,
                maximum=1.0,
                step=0.01,
                value=usual_threshold(predictor, MODES[0]),
                scale=2,
                min_width=160,
                elem_id="threshold",
            )
        button = made(gr.Button, lambda t: {"value": t.find}, variant="primary", elem_id="find")
        summary = gr.Markdown(elem_id="summary", elem_classes="quiet")
        drawing = made(
            gr.Image,
            lambda t: {"label": t.drawing},
            interactive=False,
            buttons=["fullscreen", "download"],
            height=440,
            elem_id="drawing",
        )
        table = made(
            gr.Dataframe, lambda t: {"label": t.table}, interactive=False, elem_id="table", wrap=True
        )

    def found(
        path: str | None, names: str | None, mode: Mode, least: float, language: Language
    ) -> tuple[str, Image.Image, dict[str, Any]]:
        result = find(predictor, path, names, mode, least, TEXTS[language])
        return result.summary, result.drawing, {"headers": result.headers, "data": result.rows}

    inputs = [desk.picture, names, mode, threshold, desk.language]
    on([button.click, names.submit], found, inputs, [summary, drawing, table], bug=desk.wording.texts.bug)
    mode.input(
        lambda mode: usual_threshold(predictor, mode),
        mode,
        threshold,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _choices(texts: Texts) -> list[tuple[str, Mode]]:
    return [(getattr(texts, mode), mode) for mode in MODES]
