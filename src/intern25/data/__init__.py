# SPDX-License-Identifier: MIT
"""Pictures and data sets: reading, preprocessing, class names."""
