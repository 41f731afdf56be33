# SPDX-License-Identifier: MIT
"""What each task reaches without a look at the pictures."""

from __future__ import annotations

from typing import cast

import pytest

from intern25.data.multimodal.records import Question
from intern25.generalist.tasks.metrics import answer_accuracy
from intern25.generalist.tasks.task import TaskWithTrivialAnswer, TrainingTask
from intern25.generalist.tasks.trivial_answers import trivial_answers
from tests.generalist.tasks import made_tasks
from tests.small_generalist import small_generalist


@pytest.mark.parametrize("kind", sorted(made_tasks.TASKS))
def test_figures_have_the_names_of_the_evaluation(kind: str) -> None:
    task: TrainingTask = made_tasks.TASKS[kind]()
    assert isinstance(task, TaskWithTrivialAnswer)
    trivial = task.trivial()
    figures = task.evaluate(small_generalist().eval())
    assert {name for name in trivial if not name.startswith("blind_")} <= set(figures)
    assert next(iter(trivial)) == next(iter(figures))
    assert all(0 <= value <= 1 for value in trivial.values())


def test_the_most_frequent_class() -> None:
    task = made_tasks.classify(4)  # classes 0, 1, 2, 0 to learn from; 0, 1, 2 held out
    assert task.trivial()["top1_zh"] == pytest.approx(1 / 3)
    assert task.trivial()["precision10_en"] == pytest.approx(1 / 3)


def test_chance_of_three_pictures() -> None:
    # Five candidates are more than the three pictures that there are.
    assert cast(TaskWithTrivialAnswer, made_tasks.retrieve()).trivial()["recall5"] == pytest.approx(1.0)


class Asked:
    """Two questions in either language, one of them answered in two ways."""

    def __len__(self) -> int:
        return 3

    def questions(self, index: int, seed: int) -> list[Question]:
        colour = Question(
            text="What colour?", answers=("red", "red", "blue")[index : index + 1], language="en", kind=""
        )
        number = Question(text="How many?", answers=("red",), language="en", kind="")
        return [colour, number, Question(text="几个？", answers=("两个",), language="zh", kind="")]


def test_answers_by_the_question_and_without_it() -> None:
    asked = [
        Question(text="what colour?", answers=("blue",), language="en", kind=""),
        Question(text="How many?", answers=("red",), language="en", kind=""),
        Question(text="几个？", answers=("三个",), language="zh", kind=""),
        Question(text="什么颜色？", answers=("两个",), language="zh", kind=""),
    ]
    figures = trivial_answers(Asked(), asked, answer_accuracy, 0)
    assert figures["accuracy"] == pytest.approx(0.5)
    assert figures["accuracy_zh"] == pytest.approx(0.5)
    assert figures["blind_accuracy_en"] == pytest.approx(0.5)
