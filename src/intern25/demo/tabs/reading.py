# SPDX-License-Identifier: MIT
"""The tab of reading: the part is framed by two clicks on a copy of the picture."""

from __future__ import annotations

import gradio as gr
from PIL import Image

from intern25.demo.asking import Said
from intern25.demo.events import explained, on
from intern25.demo.inputs import opened
from intern25.demo.reading import Corners, clicked, marked, read
from intern25.demo.tabs.desk import Desk
from intern25.demo.texts import TEXTS, Language

# The model has no part in it; notes reach the page through the queue alone.
_QUICK = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}


def add_reading(desk: Desk) -> None:
    """Add the tab to the page that is being built."""
    made, predictor, bug = desk.wording.made, desk.predictor, desk.wording.texts.bug
    with made(gr.Tab, lambda t: {"label": t.read_tab}, id="read"):
        made(gr.Markdown, lambda t: {"value": t.read_hint}, elem_classes="quiet")
        corners = gr.State(())
        shown = made(
            gr.Image,
            lambda t: {"label": t.read_picture},
            interactive=False,
            buttons=["fullscreen"],
            height=440,
            elem_id="part",
        )
        with gr.Row():
            button = made(gr.Button, lambda t: {"value": t.read}, variant="primary", elem_id="read")
            whole = made(gr.Button, lambda t: {"value": t.whole}, elem_id="whole")
        line = made(gr.Textbox, lambda t: {"label": t.line}, interactive=False, elem_id="line")
        certainty = gr.Markdown(elem_classes="quiet")

    def fresh(path: str | None, language: Language) -> tuple[Image.Image | None, Corners]:
        return (opened(path, TEXTS[language]) if path else None), ()

    def pointed(
        path: str | None, corners: Corners, language: Language, event: gr.SelectData
    ) -> tuple[Image.Image, Corners]:
        column, row = event.index
        after = clicked(tuple(corners), (int(column), int(row)))
        return marked(opened(path, TEXTS[language]), after), after

    def line_of(path: str | None, corners: Corners, language: Language) -> Said:
        return read(predictor, path, tuple(corners), TEXTS[language])

    start, both = [desk.picture, desk.language], [shown, corners]
    desk.picture.change(explained(fresh, bug=bug), start, both, **_QUICK)
    whole.click(explained(fresh, bug=bug), start, both, **_QUICK)
    shown.select(explained(pointed, bug=bug), [desk.picture, corners, desk.language], both, **_QUICK)
    on([button.click], line_of, [desk.picture, corners, desk.language], [line, certainty], bug=bug)
