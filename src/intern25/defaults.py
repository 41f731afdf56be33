# SPDX-License-Identifier: MIT
"""Names of the models that come with the package, so that every task runs without a network."""

from __future__ import annotations

DEFAULT_CLASSIFIER = "internimage_nano_caltech101"
"""Names what pictures show."""
DEFAULT_DETECTOR = "faster_rcnn_internimage_nano_bccd"
"""Finds blood cells under the microscope."""
DEFAULT_SEGMENTER = "upernet_internimage_nano_camvid"
"""Names the class of each pixel of a street."""
DEFAULT_GENERALIST = "intern25_tiny"
"""Describes pictures, answers questions about them and reads; any of the names above may be its name."""
