# SPDX-License-Identifier: MIT
"""The tab of naming."""

from __future__ import annotations

import gradio as gr

from intern25.demo.events import on
from intern25.demo.naming import SHOWN, name_it
from intern25.demo.tabs.desk import Desk
from intern25.demo.texts import TEXTS, Language


def add_naming(desk: Desk) -> None:
    """Add the tab to the page that is being built."""
    made, predictor = desk.wording.made, desk.predictor
    with made(gr.Tab, lambda t: {"label": t.name_tab}, id="name"):
        names = made(
            gr.Textbox,
            lambda t: {"label": t.candidates, "placeholder": t.candidates_hint, "info": t.candidates_info},
            max_length=2000,
            elem_id="candidates",
        )
        button = made(gr.Button, lambda t: {"value": t.name_it}, variant="primary", elem_id="name")
        bars = made(
            gr.Label, lambda t: {"label": t.probabilities}, num_top_classes=SHOWN, elem_id="probabilities"
        )

    def named(path: str | None, names: str | None, language: Language) -> dict[str, float]:
        return name_it(predictor, path, names, TEXTS[language])

    inputs = [desk.picture, names, desk.language]
    on([button.click, names.submit], named, inputs, [bars], bug=desk.wording.texts.bug)
