# SPDX-License-Identifier: MIT
"""Scripts that measure intern25 and publish what they found."""
