# SPDX-License-Identifier: MIT
"""Pictures and texts that pre-training takes."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from intern25.generalist.tasks.pretraining import CaptionedPairs
from tests.generalist.tasks.made_tasks import TOKENIZER, captioned


def test_pictures_without_caption_are_left_out() -> None:
    pictures = captioned(4)
    records = tuple(() if row in (0, 2) else items for row, items in enumerate(pictures.records))
    pairs = CaptionedPairs(replace(pictures, records=records), TOKENIZER)
    assert len(pairs) == 2
    assert np.array_equal(pairs.image(1), pictures.image(3))
    texts = {item.text for item in pictures.items(3)}
    assert TOKENIZER.decode(pairs.meaning([1], random.Random(0)).texts.ids[0].tolist()) in texts


def test_no_caption_at_all() -> None:
    pictures = captioned(2)
    with pytest.raises(ValueError, match="none of the 2 pictures to pre-train on has a caption"):
        CaptionedPairs(replace(pictures, records=((), ())), TOKENIZER)
