# SPDX-License-Identifier: MIT
"""Pictures that cannot be read are found before training."""

from __future__ import annotations

import pytest

from intern25.data.defects import Defect
from intern25.data.multimodal.checking import without_defects
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.stores import MemoryStore
from tests.data.made_files import picture


def pictures(**bad: bytes) -> AnnotatedPictures[str]:
    files = {name: bad.get(name, picture(seed)) for seed, name in enumerate(("a", "b", "c"))}
    return AnnotatedPictures(
        ("a", "b", "c"), (("x",), ("y",), ("z", "zz")), MemoryStore(files), where="my (train)"
    )


def test_good_pictures_stay_as_they_are() -> None:
    good, defects = without_defects(pictures(), skip_bad=False)
    assert good.names == ("a", "b", "c")
    assert defects == []


def test_a_bad_picture_is_refused_or_left_out_with_its_records() -> None:
    with pytest.raises(
        ValueError, match=r"my \(train\) has 1 defect; .*\n  b: it cannot be read: .*; copy it again"
    ):
        without_defects(pictures(b=b"no picture"), skip_bad=False)
    good, defects = without_defects(pictures(b=b"no picture"), skip_bad=True)
    assert good.names == ("a", "c")
    assert good.records == (("x",), ("z", "zz"))
    assert [defect.file for defect in defects] == ["b"]


def test_rows_that_the_reader_left_out_are_told_too() -> None:
    row = Defect("captions.json", "its caption is empty", "write it", 3)
    found = pictures()
    with_row = AnnotatedPictures(found.names, found.records, found.store, found.where, (row,))
    good, defects = without_defects(with_row, skip_bad=True)
    assert defects == [row]
    assert good.defects == ()


def test_no_picture_left() -> None:
    with pytest.raises(ValueError, match=r"none of the 3 pictures of my \(train\) can be used; a: it cannot"):
        without_defects(pictures(a=b"", b=b"", c=b""), skip_bad=True)
