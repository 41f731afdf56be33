# SPDX-License-Identifier: MIT
"""Sentences around class names, and requests for captions and for reading, in two languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intern25.data.class_names import ClassNames
from intern25.data.multimodal.records import Language

CLASS_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "en": (
        "{}",
        "a photo of a {}",
        "a picture of a {}",
        "a photo of the {}",
        "a close-up photo of a {}",
        "a small photo of a {}",
        "a blurry photo of a {}",
        "there is a {} in the picture",
    ),
    "zh": (
        "{}",
        "{}的照片",
        "一张{}的照片",
        "{}的图片",
        "一张{}的特写",
        "一张模糊的{}的照片",
        "图中有{}",
        "这是{}",
    ),
}
"""Sentences for a class name; the first is the bare name."""

SIGN_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "en": ("{}", "a traffic sign: {}", "a road sign that says {}", "a photo of a traffic sign: {}"),
    "zh": ("{}", "交通标志：{}", "一块{}的交通标志", "{}标志的照片"),
}
"""Sentences for the meaning of a traffic sign."""

CAPTION_REQUESTS: dict[Language, tuple[str, ...]] = {
    "en": (
        "describe the picture",
        "what does the picture show?",
        "write a caption",
        "describe this image in one sentence",
    ),
    "zh": ("描述这张图片", "这张图片里有什么？", "给这张图片写一句说明", "用一句话描述图片"),
}
"""Requests for a caption; the first is the one to use."""

READING_REQUESTS: dict[Language, tuple[str, ...]] = {
    "en": ("read the text", "what does it say?", "what is written here?", "what is the text in the picture?"),
    "zh": ("读出文字", "图中写着什么？", "上面写的是什么？", "识别图片中的文字"),
}
"""Requests to read what is written; the first is the one to use."""


def class_sentences(
    names: ClassNames, language: Language, templates: Mapping[Language, Sequence[str]] = CLASS_TEMPLATES
) -> list[list[str]]:
    """Put every class name into every sentence.

    Args:
        names: Class names.
        language: Language of the sentences.
        templates: The sentences, such as :data:`SIGN_TEMPLATES` for traffic signs.

    Returns:
        One list a class, with one sentence a template.

    Example:
        >>> class_sentences(ClassNames(en=("owl",), zh=("猫头鹰",)), "en")[0][1]
        'a photo of an owl'
    """
    return [
        [fill(template, names.name(index, language)) for template in templates[language]]
        for index in range(len(names))
    ]


def fill(template: str, name: str) -> str:
    """Put a name into a template; ``a`` before it becomes ``an`` where the name begins with a vowel.

    Example:
        >>> fill("a photo of a {}", "owl")
        'a photo of an owl'
    """
    if name[:1].lower() in tuple("aeiou"):
        template = template.replace(" a {}", " an {}")
        template = "an {}" + template[4:] if template.startswith("a {}") else template
    return template.format(name)
