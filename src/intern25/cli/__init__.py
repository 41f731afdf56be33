# SPDX-License-Identifier: MIT
"""The ``intern25`` command; one module a sub-command, torch is loaded only when one runs."""
