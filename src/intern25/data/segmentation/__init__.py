# SPDX-License-Identifier: MIT
"""Data sets of class masks: readers, checks, augmentation, batches."""
