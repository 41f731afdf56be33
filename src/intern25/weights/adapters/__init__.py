# SPDX-License-Identifier: MIT
"""Names of other layouts and ours, both ways: the official code, Hugging Face, this package."""
