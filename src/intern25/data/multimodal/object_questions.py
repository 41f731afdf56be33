# SPDX-License-Identifier: MIT
"""Questions, captions and expressions made from the boxes of a detection data set, drawn anew each epoch.

Every object of the classes must be annotated: a class without a box counts as absent. Pictures without any
box say nothing, because they may never have been annotated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from intern25.data.multimodal.facts import Presence
from intern25.data.multimodal.nouns import counted, counted_zh
from intern25.data.multimodal.object_facts import (
    ObjectPictures,
    content_fact,
    count_facts,
    presence_fact,
    side_facts,
    things_of,
)
from intern25.data.multimodal.pictures import DrawnPictures
from intern25.data.multimodal.records import Question, Reference, Sentence

T = TypeVar("T")
_MOST_NAMED = 4
_ENGLISH = ("a picture of {}", "a photo of {}", "there is {} in the picture", "{}")
_CHINESE = ("一张有{}的图片", "图中有{}", "{}的照片", "画面中有{}")


class _ObjectRules:
    """Draws records from boxes."""

    def __init__(self, images: ObjectPictures, count: int) -> None:
        self.images, self.count = images, count
        shape = (len(images), len(images.classes))
        there, boxed = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        for index in range(len(images)):
            objects = images.annotation(index)
            boxed[index, objects.labels] = True
            there[index, [thing.label for thing in things_of(objects)]] = True
        # A picture without objects is not asked about, so its absences must not count.
        self.presence = Presence(there, ~boxed & there.any(axis=1, keepdims=True))
        self.with_objects = tuple(np.flatnonzero(there.any(axis=1)).tolist())
        """Pictures in which something can be seen."""
        self.count_shares = self._count_shares()

    def _count_shares(self) -> dict[int, float]:
        """How often to ask for a number of things: a single one is no more frequent than two."""
        numbers = Counter(
            number
            for index in range(len(self.images))
            for number, _ in count_facts(self.images.classes, things_of(self.images.annotation(index)))
        )
        return {number: min(1.0, max(numbers[2], 1) / found) for number, found in numbers.items()}

    def questions(self, index: int, generator: np.random.Generator) -> tuple[Question, ...]:
        """Half of them whether something is there, the others how many, what, and which side."""
        classes, things = self.images.classes, things_of(self.images.annotation(index))
        most = (self.count + 1) // 2
        facts = [presence_fact(classes, *one) for one in self.presence.draw(index, most, generator)]
        counts = [
            fact
            for number, fact in count_facts(classes, things)
            if generator.random() < self.count_shares[number]
        ]
        others = [*counts, content_fact(classes, things)]
        sides = side_facts(classes, things, generator)
        if sides:
            others.append(sides[int(generator.integers(len(sides)))])
        order = generator.permutation(len(others)).tolist()
        facts += [others[position] for position in order[: self.count // 2]]
        return tuple(dict.fromkeys(fact.question(generator) for fact in facts))

    def captions(self, index: int, generator: np.random.Generator) -> tuple[Sentence, ...]:
        """One caption a language, of the classes that cover most."""
        classes, things = self.images.classes, things_of(self.images.annotation(index))[:_MOST_NAMED]
        numbers = [len(thing.boxes) if thing.countable else 9 for thing in things]
        english = [counted(n, classes.name(t.label)) for n, t in zip(numbers, things, strict=True)]
        chinese = [counted_zh(n, classes.name(t.label, "zh")) for n, t in zip(numbers, things, strict=True)]
        listed = english[0] if len(english) == 1 else f"{', '.join(english[:-1])} and {english[-1]}"
        form = _ENGLISH[int(generator.integers(len(_ENGLISH)))]
        if form.startswith("there is") and (len(things) > 1 or numbers[0] > 1):
            form = form.replace("there is", "there are", 1)
        form_zh = _CHINESE[int(generator.integers(len(_CHINESE)))]
        return (
            Sentence(text=form.format(listed), language="en"),
            Sentence(text=form_zh.format("、".join(chinese)), language="zh"),
        )

    def references(self, index: int, generator: np.random.Generator) -> tuple[Reference, ...]:
        """Expressions for things that are alone in their class, or the leftmost or rightmost of a few."""
        objects, classes = self.images.annotation(index), self.images.classes
        found = []
        for thing in things_of(objects):
            positions = np.flatnonzero(objects.labels == thing.label)
            if not thing.countable or len(positions) > 3:
                continue
            en, zh = classes.name(thing.label), classes.name(thing.label, "zh")
            if len(positions) == 1:
                found.append((int(positions[0]), f"the {en}", zh))
                continue
            left, right = objects.boxes[positions, 0], objects.boxes[positions, 2]
            order = np.argsort(left + right, kind="stable")
            if right[order[0]] <= left[order[1:]].min():
                found.append((int(positions[order[0]]), f"the {en} on the left", f"左边的{zh}"))
            if left[order[-1]] >= right[order[:-1]].max():
                found.append((int(positions[order[-1]]), f"the {en} on the right", f"右边的{zh}"))
        chosen = generator.permutation(len(found)).tolist()[: self.count]
        languages = generator.integers(2, size=len(chosen)).tolist()
        return tuple(
            Reference(text=found[at][1 + language], index=found[at][0], language="zh" if language else "en")
            for at, language in zip(chosen, languages, strict=True)
        )


def object_questions(images: ObjectPictures, *, seed: int = 0, count: int = 4) -> DrawnPictures[Question]:
    """Ask for the objects of annotated pictures, in English and Chinese.

    - presence: is there a dog in the picture? As many yes as no, and classes as often for both.
    - count: how many dogs are there? Up to four, where all are told apart and large enough.
    - content: what is in the picture? Every class is right, the one that covers most is the target.
    - side, relation: which of two things is further left; one thing each, boxes side by side.

    Things smaller than 0.2 % of the picture are not asked for, neither for a yes nor for a no.

    Args:
        images: Pictures with boxes of all objects of the classes.
        seed: Seed of all draws.
        count: Most questions a picture.

    Returns:
        The pictures that have objects, with questions for each epoch.

    Raises:
        ValueError: No picture has objects.
    """
    rules = _ObjectRules(images, count)
    return _drawn(images, rules, rules.questions, seed)


def object_captions(images: ObjectPictures, *, seed: int = 0) -> DrawnPictures[Sentence]:
    """Describe annotated pictures by their classes: ``a picture of two dogs and a car``.

    One caption in each language; classes that cover most come first, at most four.

    Raises:
        ValueError: No picture has objects.
    """
    rules = _ObjectRules(images, 1)
    return _drawn(images, rules, rules.captions, seed)


def object_references(images: ObjectPictures, *, seed: int = 0, count: int = 4) -> DrawnPictures[Reference]:
    """Point at objects: ``the dog``, ``the person on the left``; an expression fits one object only.

    Args:
        images: Pictures with boxes.
        seed: Seed of all draws.
        count: Most expressions a picture.

    Raises:
        ValueError: No picture has objects.
    """
    rules = _ObjectRules(images, count)
    return _drawn(images, rules, rules.references, seed)


def _drawn(
    images: ObjectPictures,
    rules: _ObjectRules,
    draw: Callable[[int, np.random.Generator], tuple[T, ...]],
    seed: int,
) -> DrawnPictures[T]:
    if not rules.with_objects:
        raise ValueError(f"none of the {len(images)} pictures has an object that could be asked for")
    return DrawnPictures(source=images, draw=draw, indices=rules.with_objects, seed=seed)
