# SPDX-License-Identifier: MIT
"""The generalist: one model and one set of weights for every task, in Chinese and English."""
