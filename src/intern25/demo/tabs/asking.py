# SPDX-License-Identifier: MIT
"""The tab of questions and descriptions."""

from __future__ import annotations

import gradio as gr

from intern25.demo.asking import LONGEST_QUESTION, Said, ask, describe
from intern25.demo.events import on
from intern25.demo.tabs.desk import Desk
from intern25.demo.texts import QUESTIONS, TEXTS, Language

# They say which language the description has, and so are the same in both.
_DESCRIBE: dict[Language, str] = {"zh": "用中文描述", "en": "Describe in English"}


def add_asking(desk: Desk) -> None:
    """Add the tab to the page that is being built."""
    made, predictor = desk.wording.made, desk.predictor
    with made(gr.Tab, lambda t: {"label": t.ask_tab}, id="ask"):
        question = made(
            gr.Textbox,
            lambda t: {"label": t.question, "placeholder": t.question_hint},
            max_length=LONGEST_QUESTION,
            elem_id="question",
        )
        samples = made(
            gr.Dataset,
            lambda t: {"label": t.samples},
            components=[question],
            samples=[[text] for text in QUESTIONS],
            elem_id="samples",
        )
        with gr.Row():
            button = made(
                gr.Button, lambda t: {"value": t.ask}, variant="primary", elem_id="ask", min_width=120
            )
            describing = {
                language: gr.Button(text, elem_id=f"describe-{language}", min_width=120)
                for language, text in _DESCRIBE.items()
            }
        answer = made(gr.Textbox, lambda t: {"label": t.answer}, interactive=False, elem_id="answer", lines=2)
        certainty = gr.Markdown(elem_id="certainty", elem_classes="quiet")

    def asked(path: str | None, text: str | None, language: Language) -> Said:
        return ask(predictor, path, text, TEXTS[language])

    def asked_sample(path: str | None, sample: list[str], language: Language) -> tuple[str, str, str]:
        said = ask(predictor, path, sample[0], TEXTS[language]) if path else Said("", "")
        return sample[0], *said

    shown, bug = [answer, certainty], desk.wording.texts.bug
    on([button.click, question.submit], asked, [desk.picture, question, desk.language], shown, bug=bug)
    on(
        [samples.click],
        asked_sample,
        [desk.picture, samples, desk.language],
        [question, *shown],
        bug=bug,
    )
    for spoken, describe_button in describing.items():

        def described(path: str | None, language: Language, spoken: Language = spoken) -> Said:
            return describe(predictor, path, spoken, TEXTS[language])

        on([describe_button.click], described, [desk.picture, desk.language], shown, bug=bug)
