# SPDX-License-Identifier: MIT
"""Captions in COCO's form, and Chinese sentences that go by the ids of COCO's pictures."""

from __future__ import annotations

from typing import Any

from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.rows import RecordRows, json_document, language_of, shown, tab_lines
from intern25.data.trees import FileTree

_DOCUMENT = 'COCO captions are {"images": [...], "annotations": [{"image_id": ..., "caption": ...}]}'
_SENTENCE_COLUMNS = ("coco_id", "sentence")


def is_coco(document: Any) -> bool:
    """Whether a JSON document has the lists of COCO's form."""
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ("images", "annotations")
    )


def read_coco_captions(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect the captions of a COCO file, such as ``captions_train2017.json``.

    Raises:
        ValueError: The file is of another form.
    """
    document = json_document(tree, name)
    if not is_coco(document):
        raise ValueError(f"{tree.where}/{name}: {_DOCUMENT}, not {shown(document)}")
    pictures = _picture_names(document["images"], rows)
    for row in document["annotations"]:
        if not isinstance(row, dict):
            rows.defects.add(f"an annotation is no object: {shown(row)}", "remove it")
            continue
        row_id, image_id = row.get("id"), row.get("image_id")
        if not isinstance(image_id, int | str) or image_id not in pictures:
            problem = f"image_id {shown(image_id)} is not among the images"
            rows.defects.add(problem, "remove it or add the image", row_id)
        else:
            text = rows.text(row.get("caption"), "caption", row_id)
            if text is not None:
                rows.add(pictures[image_id], Sentence(text=text, language=language_of(text)))


def _picture_names(images: list[Any], rows: RecordRows[Sentence]) -> dict[int | str, str | None]:
    """Name of each picture by its id, ``None`` for one that is missing."""
    names: dict[int | str, str | None] = {}
    files: set[str] = set()
    for image in images:
        if not isinstance(image, dict) or not isinstance(image.get("id"), int | str):
            rows.defects.add(f"an image has no id: {shown(image)}", "give each image an id and a file_name")
            continue
        if image["id"] in names:
            rows.defects.add(f"image id {image['id']} occurs twice", "give each image its own id")
            continue
        name = rows.picture(image.get("file_name"), None)
        if name is not None and name in files:
            rows.defects.add(f"the picture {name} is listed twice", "list each picture once")
        names[image["id"]] = name
        files.add(name or "")
    return names


def read_sentences_by_id(tree: FileTree, name: str, rows: RecordRows[Sentence]) -> None:
    """Collect the sentences of a table ``coco_id <tab> sentence`` for those pictures that are there.

    The pictures are found by the number in their name. Such a table speaks of many more pictures than a
    subset of COCO has: rows without a picture are no defects.

    Raises:
        ValueError: None of the pictures is there.
    """
    count = 0
    for line, row in tab_lines(tree, name, _SENTENCE_COLUMNS, rows.defects):
        if not row["coco_id"].strip().isdecimal():
            rows.defects.add(f"its coco_id {shown(row['coco_id'])} is no number", "correct it", line)
            continue
        text = rows.text(row["sentence"], "sentence", line)
        if text is not None:
            count += 1
            picture = rows.by_number.find(int(row["coco_id"]), rows.split)
            rows.add(picture, Sentence(text=text, language=language_of(text)))
    if count and not rows.pictures():
        raise ValueError(
            f"none of the pictures of the {count} sentences of {tree.where}/{name} is under "
            f"{rows.images.where} (split {rows.split}); give COCO's pictures with images="
        )
