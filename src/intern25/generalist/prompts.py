# SPDX-License-Identifier: MIT
"""Requests that the generalist was trained to answer with a caption or with what it reads."""

from __future__ import annotations

from intern25.data.multimodal.records import Language

CAPTION: dict[Language, str] = {"en": "describe the picture", "zh": "描述这张图片"}
"""Asks for a caption in the language of the request."""
REGION_CAPTION: dict[Language, str] = {"en": "describe this object", "zh": "描述这个物体"}
"""Asks for a caption of a part that was cut out."""
READ: dict[Language, str] = {"en": "read the text", "zh": "读出文字"}
"""Asks for the text in the picture, which may be in either language."""
