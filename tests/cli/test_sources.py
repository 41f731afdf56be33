# SPDX-License-Identifier: MIT
"""Lists of pictures on stdin."""

from __future__ import annotations

import io
import sys

import pytest

from intern25.cli.sources import expand_sources


def test_stdin_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
    with pytest.raises(ValueError, match="the list on stdin cannot be read as UTF-8 text"):
        expand_sources(["-"])
