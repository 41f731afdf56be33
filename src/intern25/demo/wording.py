# SPDX-License-Identifier: MIT
"""Components whose words follow the language that is chosen on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from intern25.demo.texts import TEXTS, Language, Texts

Words = Callable[[Texts], dict[str, Any]]
"""From the words of a language to the arguments of a component that hold some."""


class Wording:
    """Makes components and remembers which of their arguments are words.

    Args:
        language: Language in which they are made.
    """

    def __init__(self, language: Language) -> None:
        self.texts = TEXTS[language]
        self._rows: list[tuple[Any, Words]] = []

    def made(self, kind: Callable[..., Any], words: Words, **options: Any) -> Any:
        """Return a new component.

        Args:
            kind: Its class.
            words: Its arguments that depend on the language.
            options: The others.
        """
        component = kind(**words(self.texts), **options)
        self._rows.append((component, words))
        return component

    def follow(self, switch: Any) -> None:
        """Change all words when ``switch``, whose value is a language, changes."""

        def changed(language: Language) -> list[Any]:
            return [gr.update(**words(TEXTS[language])) for _, words in self._rows]

        switch.change(
            changed,
            switch,
            [component for component, _ in self._rows],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
