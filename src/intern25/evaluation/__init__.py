# SPDX-License-Identifier: MIT
"""Metrics on data sets."""
