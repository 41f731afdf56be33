# SPDX-License-Identifier: MIT
"""One web page for a generalist, in Chinese and English: a tab for each task, on this machine alone."""
