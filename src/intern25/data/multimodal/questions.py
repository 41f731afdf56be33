# SPDX-License-Identifier: MIT
"""Open a data set of questions about pictures from a path, whatever its format."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.question_files import (
    is_triples,
    is_vqa,
    read_question_lines,
    read_triples,
    read_vqa,
)
from intern25.data.multimodal.records import Question
from intern25.data.multimodal.rows import (
    DefectRows,
    RecordRows,
    file_of_split,
    json_document,
    open_annotations,
)
from intern25.data.trees import FileTree, open_tree, split_name, split_of

QuestionFormat = Literal["auto", "vqa", "triples", "jsonl"]
FORMATS = ("vqa", "triples", "jsonl")
FORMAT_HELP = (
    "expected VQA v2 (*questions*.json and *annotations*.json), questions.json with "
    "[question, answer, picture] rows, or *.jsonl with image, question and answer"
)
_QUESTION_FILE = re.compile(
    r"(?:.*/)?(?:[^/]*question[^/]*\.jsonl?|(?![^/]*(?:caption|statement))[^/]*\.jsonl)", re.IGNORECASE
)
_ANSWER_FILE = re.compile(r"(?:.*/)?[^/]*annotation[^/]*\.json", re.IGNORECASE)


def read_questions(
    path: str | Path,
    format: QuestionFormat = "auto",
    *,
    split: str = "train",
    images: str | Path | None = None,
    answers: str | Path | None = None,
    single_word: bool = False,
    skip_bad: bool = False,
) -> AnnotatedPictures[Question]:
    """Read one split of a data set of questions.

    Convention:
        - a folder, a ``.zip`` read in place, a folder inside a zip, or a question file in any of them.
        - names of files and folders say the split: ``questions_train.json``, ``val/questions.json``.

    Args:
        path: The data set.
        format: ``auto`` looks at the files.
        split: ``train``, ``val`` or ``test``.
        images: Folder or zip of the pictures where they lie elsewhere.
        answers: The annotation file of VQA v2 where it lies elsewhere.
        single_word: Leave out questions whose target is a list of things, ``book, scissors`` (DAQUAR).
        skip_bad: Leave bad rows out, as rows of ``defects``, instead of raising.

    Returns:
        The pictures that have questions.

    Raises:
        ValueError: Nothing usable is there, or rows are bad; the message shows the first.
        SplitMissingError: The data set has other splits only.
    """
    if format not in ("auto", *FORMATS):
        known = ", ".join(("auto", *FORMATS))
        raise ValueError(f"unknown format {format!r} of a question data set; known: {known}")
    split = split_name(split)
    tree, name = open_annotations(path)
    if name is None:
        name = _question_file(tree, format, split)
    kind = _format_of(tree, name) if format == "auto" else format
    pictures = open_tree(images) if images is not None else tree
    rows = RecordRows[Question](pictures, split, DefectRows(name), any_folder=split_of(name) == split)
    if kind == "vqa":
        answer_tree, answer_file = _answer_file(tree, split, answers)
        read_vqa(tree, name, answer_tree, answer_file, rows, single_word=single_word)
    elif kind == "triples":
        read_triples(tree, name, rows, single_word=single_word)
    elif kind == "jsonl":
        read_question_lines(tree, name, rows, single_word=single_word)
    else:
        raise ValueError(f"{tree.where}/{name} is no question file; {FORMAT_HELP}")
    return rows.finished(f"{tree.where}/{name}", skip_bad=skip_bad)


def _question_file(tree: FileTree, format: str, split: str) -> str:
    names = [name for name in tree.names if _QUESTION_FILE.fullmatch(name)]
    found = [name for name in names if format in ("auto", _format_of(tree, name))]
    if not found:
        wanted = FORMAT_HELP if format == "auto" else f"expected the {format} format"
        raise ValueError(f"no questions in {tree.where}; {wanted}")
    return file_of_split(tree, found, split)


def _format_of(tree: FileTree, name: str) -> str | None:
    if name.lower().endswith(".jsonl"):
        return "jsonl"
    document = json_document(tree, name)
    if is_vqa(document):
        return "vqa"
    return "triples" if is_triples(document) else None


def _answer_file(tree: FileTree, split: str, answers: str | Path | None) -> tuple[FileTree, str]:
    if answers is not None:
        answer_tree, name = open_annotations(answers)
        if name is None:
            raise ValueError(f"{answers} is no file; give the annotation file of VQA v2")
        return answer_tree, name
    names = [name for name in tree.names if _ANSWER_FILE.fullmatch(name)]
    if not names:
        raise ValueError(
            f"{tree.where} has questions of VQA v2 but no *annotations*.json; give it with answers="
        )
    return tree, file_of_split(tree, names, split)
