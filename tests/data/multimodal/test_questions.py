"""Questions in every form, their answers by frequency, and what is said about bad rows."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intern25.data.multimodal.question_files import by_frequency, kind_of
from intern25.data.multimodal.questions import read_questions
from intern25.data.multimodal.records import Question
from intern25.data.trees import SplitMissingError
from tests.data.made_files import Files, picture, write_files

ANSWERS = ["left", "no", "no", "yes", "no", "left", "up", "no", "no", "no"]


def vqa_files(**changes: Any) -> dict[str, bytes | str]:
    questions = [
        {"question_id": 420, "image_id": 42, "question": "Is it open?"},
        {"question_id": 421, "image_id": 42, "question": "这是什么颜色？"},
    ]
    annotations = [
        {"question_id": 420, "answer_type": "yes/no", "answers": [{"answer": a} for a in ANSWERS]},
        {"question_id": 421, "answer_type": "other", "answers": [{"answer": "红"}]},
    ]
    return {
        "v2_OpenEnded_mscoco_train2014_questions.json": json.dumps(
            {"questions": changes.get("q", questions)}
        ),
        "v2_mscoco_train2014_annotations.json": json.dumps({"annotations": changes.get("a", annotations)}),
        "train2014/COCO_train2014_000000000042.png": picture(0),
    }


@pytest.mark.parametrize("zipped", [False, True])
def test_vqa(tmp_path: Path, zipped: bool) -> None:
    pictures = read_questions(write_files(tmp_path, vqa_files(), zipped=zipped))
    assert pictures.names == ("train2014/COCO_train2014_000000000042.png",)
    assert pictures.items(0) == (
        Question(text="Is it open?", answers=("no", "left", "yes", "up"), language="en", kind="yes/no"),
        Question(text="这是什么颜色？", answers=("红",), language="zh", kind="other"),
    )
    with pytest.raises(SplitMissingError, match="no split 'val'"):
        read_questions(tmp_path / ("set.zip" if zipped else "set"), split="val")


def test_answers_of_vqa_may_lie_elsewhere(tmp_path: Path) -> None:
    files = vqa_files()
    answers = files.pop("v2_mscoco_train2014_annotations.json")
    path = write_files(tmp_path, files)
    with pytest.raises(ValueError, match=r"no \*annotations\*.json; give it with answers="):
        read_questions(path)
    elsewhere = write_files(tmp_path, {"mine.json": answers}, name="elsewhere")
    assert read_questions(path, answers=elsewhere / "mine.json").num_items() == 2


@pytest.mark.parametrize("by_number", [True, False])
def test_triples(tmp_path: Path, by_number: bool) -> None:
    call = (lambda number: number) if by_number else (lambda number: f"image{number}")
    rows = [
        ["what color is the shape?", "red", call(3)],
        ["what is on the desk", "tape_dispenser, cup", call(3)],
        ["how many cups are there", "11", call(10)],
        ["is there a circle?", "no", call(10)],
    ]
    files = {
        "train/questions.json": json.dumps(rows),
        "test/questions.json": json.dumps(rows[:1]),
        f"train/images/{call(3)}.png": picture(0),
        f"test/images/{call(3)}.png": picture(1),
        f"train/images/{call(10)}.png": picture(2),
    }
    path = write_files(tmp_path, files)
    pictures = read_questions(path)
    assert pictures.names == (f"train/images/{call(3)}.png", f"train/images/{call(10)}.png")
    found = [(q.answers, q.kind) for i in range(2) for q in pictures.items(i)]
    assert found == [
        (("red",), "colour"),
        (("tape dispenser, cup",), "object"),
        (("11",), "count"),
        (("no",), "yes/no"),
    ]
    assert read_questions(path, single_word=True).num_items() == 3
    assert read_questions(path, split="test").names == (f"test/images/{call(3)}.png",)


def test_lines(tmp_path: Path) -> None:
    rows = [
        {"image": "a.png", "question": "where?", "answer": "here"},
        {
            "image": "a.png",
            "question": "what?",
            "answers": ["x", "y", "y"],
            "language": "en",
            "kind": "thing",
        },
        {"image": "b.png", "question": "有几只猫？", "answer": "两只"},
    ]
    files = {"q.jsonl": "\n".join(map(json.dumps, rows)), "a.png": picture(0), "b.png": picture(1)}
    pictures = read_questions(write_files(tmp_path, files, zipped=True))
    assert pictures.items(0)[0] == Question(text="where?", answers=("here",), language="en", kind="place")
    assert (pictures.items(0)[1].answers, pictures.items(0)[1].kind) == (("y", "x"), "thing")
    assert (pictures.items(1)[0].language, pictures.items(1)[0].kind) == ("zh", "count")


BAD = {
    "not three": (
        {"questions.json": '[["q", "a", 1], ["q", "a"]]', "1.png": picture(0)},
        r"it is not \[question",
    ),
    "missing picture": (
        {"questions.json": '[["q", "a", 1], ["q", "a", 2]]', "1.png": picture(0)},
        "annotation 2: its picture 2 is missing",
    ),
    "empty answer": (
        {"questions.json": '[["q", "a", 1], ["q", "", 1]]', "1.png": picture(0)},
        "its answer  is not a text",
    ),
    "answer of a wrong type": (
        {
            "q.jsonl": '{"image": "1.png", "question": "q", "answer": "a"}\n'
            '{"image": "1.png", "question": "q", "answer": 4}',
            "1.png": picture(0),
        },
        "annotation 2: its answer 4 is not a text",
    ),
    "no answers": (
        {
            "q.jsonl": '{"image": "1.png", "question": "q", "answer": "a"}\n'
            '{"image": "1.png", "question": "q", "answers": []}',
            "1.png": picture(0),
        },
        "annotation 2: its answers are an empty list",
    ),
    "unanswered": (
        vqa_files(a=[{"question_id": 420, "answers": [{"answer": "a"}]}]),
        "annotation 421: it has no answers",
    ),
    "no picture of this number": (
        vqa_files(
            q=[
                {"question_id": 420, "image_id": 42, "question": "q"},
                {"question_id": 421, "image_id": 43, "question": "q"},
            ]
        ),
        "annotation 421: picture 43 is missing",
    ),
    "annotated twice": (
        vqa_files(
            q=[{"question_id": 420, "image_id": 42, "question": "q"}],
            a=[{"question_id": 420, "answers": ["a"]}] * 2,
        ),
        "annotation 420: it is annotated twice",
    ),
}


@pytest.mark.parametrize(("files", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_refused_or_left_out(tmp_path: Path, files: Files, message: str) -> None:
    path = write_files(tmp_path, files)
    with pytest.raises(ValueError, match=f"(?s)1 defect.*--skip-bad.*{message}"):
        read_questions(path)
    pictures = read_questions(path, skip_bad=True)
    assert (len(pictures.defects), pictures.num_items()) == (1, 1)


USELESS = {
    "nothing": ({"a.png": picture(0)}, "no questions in"),
    "another form": ({"questions.json": '{"a": 1}', "a.png": picture(0)}, "is no question file"),
    "empty": ({"questions.json": "", "a.png": picture(0)}, "questions.json is empty"),
    "no rows": ({"q.jsonl": "", "a.png": picture(0)}, "no usable row"),
}


@pytest.mark.parametrize(("files", "message"), USELESS.values(), ids=USELESS)
def test_useless_data_is_refused(tmp_path: Path, files: Files, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_questions(write_files(tmp_path, files), skip_bad=True)


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'gqa'"):
        read_questions(tmp_path, "gqa")  # type: ignore[arg-type]


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_answers_are_sorted_by_frequency(answers: list[str]) -> None:
    found, counts = by_frequency(answers), Counter(answers)
    assert set(found) == set(counts)
    assert len(found) == len(counts)
    for first, second in pairwise(found):
        ordered = (counts[first], -answers.index(first)) > (counts[second], -answers.index(second))
        assert ordered


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        ("is it?", "Yes", "yes/no"),
        ("how many?", "7", "count"),
        ("这辆车是什么颜色？", "红色", "colour"),
        ("what shape is it?", "circle", "shape"),
        ("what is it?", "cup", "object"),
    ],
)
def test_kinds(question: str, answer: str, kind: str) -> None:
    assert kind_of(question, answer) == kind
