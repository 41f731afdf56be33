# SPDX-License-Identifier: MIT
"""``python -m intern25`` is the ``intern25`` command."""

from __future__ import annotations

import sys

from intern25.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
