# SPDX-License-Identifier: MIT
"""The tabs of the page, one file each: which components there are, and which function fills them."""
