# SPDX-License-Identifier: MIT
"""Questions in files: VQA v2, lists of (question, answer, picture), and one JSON object a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from intern25.data.multimodal.records import Question
from intern25.data.multimodal.rows import (
    DefectRows,
    RecordRows,
    json_document,
    json_lines,
    language_of,
    one_of,
    shown,
)
from intern25.data.trees import FileTree

_YES_NO = frozenset({"yes", "no", "是", "否", "不是", "有", "没有", "可以", "不可以", "能", "不能"})
# The first word found in a question says what it asks for.
_KIND_WORDS = (
    ("how many", "count"),
    ("几", "count"),
    ("多少", "count"),
    ("color", "colour"),
    ("colour", "colour"),
    ("颜色", "colour"),
    ("shape", "shape"),
    ("形状", "shape"),
    ("where", "place"),
    ("哪里", "place"),
    ("什么地方", "place"),
)


def kind_of(question: str, answer: str) -> str:
    """Say what a question asks for, by its answer and its words: ``yes/no``, ``count``, ``colour``, ...

    Example:
        >>> kind_of("what is the color of the wall", "white")
        'colour'
    """
    if answer.lower() in _YES_NO:
        return "yes/no"
    if answer.isdecimal():
        return "count"
    lowered = question.lower()
    return next((kind for word, kind in _KIND_WORDS if word in lowered), "object")


def by_frequency(answers: Sequence[str]) -> tuple[str, ...]:
    """Each answer once, the most frequent first; of equally frequent ones, the one given first.

    Example:
        >>> by_frequency(["left", "no", "no", "yes"])
        ('no', 'left', 'yes')
    """
    return tuple(answer for answer, _ in Counter(answers).most_common())


def is_vqa(document: Any) -> bool:
    """Whether a JSON document is a question file of VQA v2."""
    return isinstance(document, dict) and isinstance(document.get("questions"), list)


def is_triples(document: Any) -> bool:
    """Whether a JSON document is a list of (question, answer, picture)."""
    return isinstance(document, list) and bool(document) and isinstance(document[0], list)


def read_vqa(
    tree: FileTree,
    name: str,
    answer_tree: FileTree,
    answer_file: str,
    rows: RecordRows[Question],
    *,
    single_word: bool = False,
) -> None:
    """Collect the questions of VQA v2: one file of questions, one of ten answers to each.

    The answers are sorted by frequency, so the target is the one that most people gave. Pictures are found
    by the number in their name (``COCO_train2014_000000000009.jpg``).

    Raises:
        ValueError: A file is of another form.
    """
    questions, documents = json_document(tree, name), json_document(answer_tree, answer_file)
    if not is_vqa(questions):
        raise ValueError(f'{tree.where}/{name}: expected {{"questions": [...]}}, not {shown(questions)}')
    if not isinstance(documents, dict) or not isinstance(documents.get("annotations"), list):
        raise ValueError(
            f'{answer_tree.where}/{answer_file}: expected {{"annotations": [...]}}, not {shown(documents)}'
        )
    answered = _vqa_answers(documents["annotations"], rows.defects)
    for row in questions["questions"]:
        if not isinstance(row, dict) or not isinstance(row.get("question_id"), int | str):
            rows.defects.add(f"a question has no question_id: {shown(row)}", "correct or remove it")
            continue
        row_id = row["question_id"]
        if row_id not in answered:
            rows.defects.add("it has no answers", f"add them to {answer_file}, or remove it", row_id)
            continue
        answers, kind = answered.pop(row_id)
        text = rows.text(row.get("question"), "question", row_id)
        picture = _picture_by_number(row.get("image_id"), row_id, rows)
        if text is not None and answers and not (single_word and _is_list(answers[0])):
            question = Question(text=text, answers=answers, language=language_of(text), kind=kind)
            rows.add(picture, question)


def _vqa_answers(annotations: list[Any], defects: DefectRows) -> dict[int | str, tuple[tuple[str, ...], str]]:
    """Answers and kind by the id of the question."""
    found: dict[int | str, tuple[tuple[str, ...], str]] = {}
    for row in annotations:
        row_id = row.get("question_id") if isinstance(row, dict) else None
        if not isinstance(row_id, int | str):
            defects.add(f"an annotation has no question_id: {shown(row)}", "correct or remove it")
            continue
        answers = row.get("answers")
        answers = answers if isinstance(answers, list) else []
        texts = [answer.get("answer") if isinstance(answer, dict) else answer for answer in answers]
        good = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
        if not good:
            defects.add("its annotation has no answers", "write them, or remove it", row_id)
        if row_id in found:
            defects.add("it is annotated twice", "give each question one annotation", row_id)
        found[row_id] = (by_frequency(good), str(row.get("answer_type", "other")))
    return found


def _picture_by_number(number: Any, row: int | str, rows: RecordRows[Question]) -> str | None:
    if not isinstance(number, int):
        rows.defects.add(f"its image_id {shown(number)} is no number", "correct it", row)
        return None
    name = rows.by_number.find(number, rows.split)
    if name is None:
        rows.defects.add(f"picture {number} is missing", "copy it again, or give its folder: images=", row)
    return name


def read_triples(tree: FileTree, name: str, rows: RecordRows[Question], *, single_word: bool = False) -> None:
    """Collect a JSON list of ``[question, answer, picture]``, as easy-VQA and DAQUAR have it.

    The picture is called by number (``7`` is ``7.png``) or by its name without suffix (``"image7"``).
    Underscores of answers, as in ``tape_dispenser``, become spaces.

    Args:
        tree: The data set.
        name: The file.
        rows: Collects the questions.
        single_word: Leave out questions whose answer is a list, ``book, scissors``.

    Raises:
        ValueError: The document is no such list.
    """
    document = json_document(tree, name)
    if not is_triples(document):
        wanted = "[[question, answer, picture], ...]"
        raise ValueError(f"{tree.where}/{name}: expected {wanted}, not {shown(document)}")
    for number, row in enumerate(document, start=1):
        if not isinstance(row, list) or len(row) != 3:
            rows.defects.add(
                f"it is not [question, answer, picture]: {shown(row)}", "correct or remove it", number
            )
            continue
        text, answer = rows.text(row[0], "question", number), rows.text(row[1], "answer", number)
        if text is None or answer is None or (single_word and _is_list(answer)):
            continue
        picture = rows.by_stem.get(str(row[2]))
        if picture is None:
            rows.defects.add(f"its picture {shown(row[2])} is missing", "copy it again or remove it", number)
        answer = answer.replace("_", " ")
        question = Question(
            text=text, answers=(answer,), language=language_of(text), kind=kind_of(text, answer)
        )
        rows.add(picture, question)


def _is_list(answer: str) -> bool:
    return "," in answer or "，" in answer or "、" in answer


def read_question_lines(
    tree: FileTree, name: str, rows: RecordRows[Question], *, single_word: bool = False
) -> None:
    """Collect lines ``{"image": ..., "question": ..., "answer": ... or "answers": [...]}``.

    ``language`` and ``kind`` may be left out. Repeated answers are sorted by frequency.
    """
    for number, row in json_lines(tree, name, rows.defects):
        picture = rows.picture(one_of(row, "image", "file", "file_name"), number)
        text = rows.text(row.get("question"), "question", number)
        answers = _line_answers(row, number, rows)
        language = rows.language(row.get("language"), text or "", number)
        if text is None or language is None or not answers or (single_word and _is_list(answers[0])):
            continue
        kind = row.get("kind")
        kind = kind if isinstance(kind, str) else kind_of(text, answers[0])
        rows.add(picture, Question(text=text, answers=answers, language=language, kind=kind))


def _line_answers(row: dict[str, Any], number: int, rows: RecordRows[Question]) -> tuple[str, ...]:
    answers = one_of(row, "answers", "answer")
    if isinstance(answers, list) and not answers:
        rows.defects.add("its answers are an empty list", "write one, or remove the row", number)
        return ()
    texts = [rows.text(a, "answer", number) for a in (answers if isinstance(answers, list) else [answers])]
    return by_frequency([text for text in texts if text is not None])
