# SPDX-License-Identifier: MIT
"""Facts about pictures, and the questions that ask for them: several wordings in two languages each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intern25.data.multimodal.records import Language, Question

LANGUAGES: tuple[Language, Language] = ("en", "zh")
YES_NO: dict[bool, dict[Language, tuple[str, ...]]] = {
    True: {"en": ("yes",), "zh": ("是",)},
    False: {"en": ("no",), "zh": ("否", "不是")},
}
"""Answers to a question for a yes or a no."""
THERE_IS: dict[bool, dict[Language, tuple[str, ...]]] = {
    True: {"en": ("yes",), "zh": ("有", "是")},
    False: {"en": ("no",), "zh": ("没有", "否")},
}
"""Answers to whether something is there."""
ALLOWED: dict[bool, dict[Language, tuple[str, ...]]] = {
    True: {"en": ("yes",), "zh": ("可以", "能", "是")},
    False: {"en": ("no",), "zh": ("不可以", "不能", "否")},
}
"""Answers to whether something may be done."""
COLOURS: dict[str, dict[Language, tuple[str, ...]]] = {
    "red": {"en": ("red", "red light"), "zh": ("红灯", "红色", "红")},
    "yellow": {"en": ("yellow", "yellow light"), "zh": ("黄灯", "黄色", "黄")},
    "green": {"en": ("green", "green light"), "zh": ("绿灯", "绿色", "绿")},
}
"""Colours of lights."""

_FITTING_STEPS = 40
"""Steps of the proportional fitting of :class:`Presence`."""

Wordings = dict[Language, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that is known about a picture and can be asked for."""

    wordings: Wordings
    """Questions for it, with the names of ``slots`` in braces."""
    answers: dict[Language, tuple[str, ...]]
    """All right answers in each language; the first is the target."""
    kind: str
    """What is asked for."""
    slots: dict[Language, dict[str, str]] | None = None
    """What the braces stand for."""
    is_yes: bool | None = None
    """The answer where it is yes or no."""
    balance: str = ""
    """Facts with the same entry are answered yes and no equally often; the kind where it is empty."""

    @property
    def answer_key(self) -> tuple[str, bool] | None:
        """What counts as the same question and answer for balance; ``None`` where it is not yes or no."""
        return None if self.is_yes is None else (self.balance or self.kind, self.is_yes)

    def question(self, generator: np.random.Generator) -> Question:
        """Draw a language and a wording."""
        language = LANGUAGES[int(generator.integers(2))]
        wordings = self.wordings[language]
        text = wordings[int(generator.integers(len(wordings)))]
        slots: dict[str, Any] = (self.slots or {}).get(language, {})
        return Question(
            text=text.format(**slots), answers=self.answers[language], language=language, kind=self.kind
        )


def balancing_shares(facts: Sequence[Sequence[Fact]]) -> dict[tuple[str, bool], float]:
    """How often to ask for a fact of some kind and answer, so that as many are answered yes as no.

    ``share(kind, answer) = min(yes, no) / number with this answer``; a kind that has one answer only is not
    asked for.

    Args:
        facts: Facts of all pictures.

    Returns:
        The share in 0..1 of each :attr:`Fact.answer_key`.
    """
    keys = (fact.answer_key for one in facts for fact in one)
    counts = Counter(key for key in keys if key is not None)
    return {
        (what, is_yes): min(count, counts[what, not is_yes]) / count
        for (what, is_yes), count in counts.items()
    }


def draw_questions(
    facts: Sequence[Fact],
    shares: dict[tuple[str, bool], float],
    generator: np.random.Generator,
    most: int,
) -> tuple[Question, ...]:
    """Draw questions for some facts, at most ``most``, each once."""
    kept = [
        fact
        for fact in facts
        if fact.answer_key is None or generator.random() < shares.get(fact.answer_key, 0.0)
    ]
    order = generator.permutation(len(kept)).tolist()
    return tuple(kept[position].question(generator) for position in order[: max(most, 0)])


class Presence:
    r"""Draws what to ask the presence of, so that neither the data set nor a class gives the answer away.

    Yes or no is drawn first, then a class that allows it. For a yes, class ``c`` of picture ``i`` is taken
    with ``p(c | i) = u_c there_ic / sum_k u_k there_ik``, for a no likewise with ``v`` and ``absent``. With
    ``Y_c`` and ``N_c``, how often a yes and a no ask for the class, the weights are found by proportional
    fitting, ``u_c *= sqrt(N_c / Y_c)`` and ``v_c *= sqrt(Y_c / N_c)``. What remains, because the pictures do
    not allow more, is thinned: a yes is kept with ``min(1, N_c / Y_c)``, a no with ``min(1, Y_c / N_c)``. So
    each class is asked for as often for either; one that is everywhere or nowhere is not asked for.

    Args:
        there: ``(N, C)``: classes in each picture.
        absent: ``(N, C)``: classes that are surely not in each picture.
    """

    def __init__(self, there: NDArray[np.bool_], absent: NDArray[np.bool_]) -> None:
        self.there, self.absent = there, absent
        for_yes = for_no = np.asarray(there.any(axis=0) & absent.any(axis=0), dtype=np.float64)
        for _ in range(_FITTING_STEPS):
            asked_yes, asked_no = self._asked(for_yes, for_no)
            change = np.sqrt(asked_no / asked_yes).clip(0.1, 10.0)
            for_yes, for_no = _scaled(for_yes * change), _scaled(for_no / change)
        asked_yes, asked_no = self._asked(for_yes, for_no)
        self.yes = (_normalised(there * for_yes) * np.minimum(1.0, asked_no / asked_yes)).astype(np.float32)
        self.no = (_normalised(absent * for_no) * np.minimum(1.0, asked_yes / asked_no)).astype(np.float32)
        """``(N, C)``: chances of each class in each picture for either answer; the rest is to ask nothing."""

    def _asked(
        self, for_yes: NDArray[np.float64], for_no: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How often a yes and a no ask for each class, ``(C,)``; tiny for one that they never ask for."""
        asked = (_normalised(self.there * for_yes), _normalised(self.absent * for_no))
        return np.maximum(asked[0].sum(axis=0), 1e-12), np.maximum(asked[1].sum(axis=0), 1e-12)

    def draw(self, index: int, most: int, generator: np.random.Generator) -> list[tuple[int, bool]]:
        """Draw up to ``most`` pairs (class, whether it is there) for a picture; a class may come again."""
        drawn = []
        for is_yes, share in zip(generator.random(most) < 0.5, generator.random(most), strict=True):
            chances = (self.yes if is_yes else self.no)[index].cumsum()
            label = int(np.searchsorted(chances, share, side="right"))
            if label < len(chances):
                drawn.append((label, bool(is_yes)))
        return drawn


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide each row by its sum; rows of zeros stay."""
    total = weights.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = weights / np.where(total > 0.0, total, 1.0)
    return shares


def _scaled(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep weights, of which only the ratios matter, between 1e-6 and 1; zero stays zero."""
    largest = max(float(weights.max(initial=0.0)), 1e-300)
    scaled: NDArray[np.float64] = np.where(weights > 0.0, np.maximum(weights / largest, 1e-6), 0.0)
    return scaled
