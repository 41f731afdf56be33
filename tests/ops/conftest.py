# SPDX-License-Identifier: MIT
"""Runs a test with every instruction set of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from intern25.ops import native
from intern25.ops.backends import Refusal

INSTRUCTION_SETS = () if isinstance(native.library(), Refusal) else native.available_instruction_sets()


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Its name; the one selected before is selected again afterwards."""
    before = native.instruction_set()
    native.set_instruction_set(request.param)
    yield request.param
    native.set_instruction_set(before)
