# SPDX-License-Identifier: MIT
"""The tab of the album that was named at the start; without one it says how to name one."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from intern25.demo.album import Album, Hit, search_alike, search_words
from intern25.demo.events import on
from intern25.demo.tabs.desk import Desk
from intern25.demo.texts import TEXTS, Language, Texts


def add_album(desk: Desk, album: Album | None) -> None:
    """Add the tab to the page that is being built."""
    made = desk.wording.made
    with made(gr.Tab, lambda t: {"label": t.album_tab}, id="album"):
        if album is None:
            made(gr.Markdown, lambda t: {"value": t.album_absent}, elem_id="no-album")
            return
        _add_search(desk, album)


def _add_search(desk: Desk, album: Album) -> None:
    made, bug = desk.wording.made, desk.wording.texts.bug
    query = made(
        gr.Textbox,
        lambda t: {"label": t.query, "placeholder": t.query_hint, "info": _shown(album)(t)},
        max_length=200,
        elem_id="query",
    )
    with gr.Row():
        button = made(gr.Button, lambda t: {"value": t.search}, variant="primary", elem_id="search")
        alike = made(gr.Button, lambda t: {"value": t.alike}, elem_id="alike")
    hits = made(
        gr.Gallery,
        lambda t: {"label": t.hits},
        columns=3,
        object_fit="contain",
        buttons=["fullscreen", "download"],
        interactive=False,
        elem_id="hits",
    )

    def by_words(words: str | None, language: Language) -> list[Hit]:
        return search_words(album, words, TEXTS[language])

    def by_picture(path: str | None, language: Language) -> list[Hit]:
        return search_alike(album, path, TEXTS[language])

    on([button.click, query.submit], by_words, [query, desk.language], [hits], bug=bug)
    on([alike.click], by_picture, [desk.picture, desk.language], [hits], bug=bug)


def _shown(album: Album) -> Callable[[Texts], str]:
    # Its name, not where it lies: the page may be seen from other machines.
    return lambda texts: texts.album_shown.format(folder=album.folder.resolve().name, count=album.count)
