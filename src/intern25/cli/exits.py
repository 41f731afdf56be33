# SPDX-License-Identifier: MIT
"""Exit statuses of the ``intern25`` command."""

from __future__ import annotations

DONE = 0
"""Everything asked for was done."""
SOME_FAILED = 1
"""Done, except for inputs that were named on stderr."""
USER_ERROR = 2
"""Nothing was done: a wrong option, a missing file, a backend that refuses."""
INTERRUPTED = 130
"""Stopped by Ctrl-C."""
