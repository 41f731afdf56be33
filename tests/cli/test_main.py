# SPDX-License-Identifier: MIT
"""How errors of a command are shown."""

from __future__ import annotations

import errno
import os

import pytest

from intern25.cli.main import error_text
from intern25.data.defects import Defect, refuse


def test_an_error_is_one_line() -> None:
    assert error_text(ValueError("a\nb   c")) == "a b c"
    assert error_text(ValueError()) == "ValueError"


def test_defects_keep_their_rows() -> None:
    defects = [Defect("a.png", "it is\nempty", "copy it"), Defect("b.png", "no mask", "draw one", row=3)]
    with pytest.raises(ValueError, match="has 2 defects") as caught:
        refuse("set", defects)
    first, *rows = error_text(caught.value).splitlines()
    assert first.endswith("The first:")
    assert rows == ["  a.png: it is empty; copy it", "  b.png, annotation 3: no mask; draw one"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "out/a.png: No space left on device; make room and run the command again"),
        (errno.EACCES, "out/a.png: Permission denied; mend its permissions or choose another place"),
        (errno.EEXIST, "out/a.png: File exists; choose another name"),
        (errno.EIO, "out/a.png: Input/output error"),
    ],
)
def test_system_errors_name_the_file_and_the_way_out(number: int, expected: str) -> None:
    assert error_text(OSError(number, os.strerror(number), "out/a.png")) == expected
    assert error_text(OSError(number, os.strerror(number))) == expected.removeprefix("out/a.png: ")
