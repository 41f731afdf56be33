# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from intern25.data.class_names import ClassNames, class_names
from intern25.data.labelled import LabelledImages
from intern25.data.multimodal.kinds import KINDS, kind_sentences, kinds_of, pictures_of_kinds
from intern25.data.stores import MemoryStore


def test_members_are_classes_and_ways_to_say_are_told_apart() -> None:
    known = {*class_names("caltech101").en, *class_names("cifar10").en}
    for kind in KINDS:
        assert kind.members <= known, kind.members - known
        assert len(kind.members) >= 1
        assert all(word.isascii() for word in kind.en)
        assert not any(word.isascii() for word in kind.zh)
    for language in ("en", "zh"):
        names = [kind.said(language)[0] for kind in KINDS]
        assert len(set(names)) == len(names)


def test_kinds_of_a_class() -> None:
    assert {kind.en[0] for kind in kinds_of("cat")} == {"cute furry animals", "animals", "pets"}
    assert kinds_of("yin-yang") == ()
    assert "可爱毛绒绒的照片" in {sentence.text for sentence in kind_sentences(kinds_of("panda")[0])}


def test_pictures_are_told_their_name_and_their_kinds() -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    images = LabelledImages(
        ("a", "b"), (1, 0), ("yin-yang", "helicopter"), MemoryStore({"a": pixels, "b": pixels})
    )
    names = ClassNames(en=("yin-yang", "helicopter"), zh=("太极图", "直升机"))
    pictures = pictures_of_kinds(images, names)
    flying, symbol = ({item.text for item in pictures.items(row)} for row in (0, 1))
    assert {"helicopter", "直升机的照片", "aircraft", "天上飞的"} <= flying
    assert {"yin-yang", "太极图"} <= symbol
    assert not symbol & {sentence.text for kind in KINDS for sentence in kind_sentences(kind)}
    assert pictures.image(0).shape == (4, 4, 3)
