# SPDX-License-Identifier: MIT
"""Data sets of boxes and instance masks: readers, checks, augmentation, batches."""
