"""The real data sets of the reference data open, count as their sources say, and give right questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intern25.data.class_names import class_keys, class_names
from intern25.data.detection.sources import read_detection
from intern25.data.multimodal.captions import read_captions, read_sentences
from intern25.data.multimodal.crops import read_named_splits
from intern25.data.multimodal.light_questions import light_questions
from intern25.data.multimodal.object_questions import object_questions, object_references
from intern25.data.multimodal.questions import read_questions
from intern25.data.multimodal.statements import read_statements
from intern25.data.multimodal.street_questions import street_questions
from intern25.data.multimodal.words import read_words
from intern25.data.segmentation.sources import read_semantic
from tests.data.multimodal.answering import (
    Box,
    answer_about_boxes,
    answer_about_lights,
    answer_about_street,
    fits_only,
)

pytestmark = pytest.mark.shared


@pytest.fixture
def packs(shared_root: Path) -> Path:
    return shared_root / "data"


def open_pack(packs: Path, name: str) -> Path:
    archive = packs / name.split("/")[0]
    if not archive.exists():
        pytest.skip(f"{archive} is absent")
    return packs / name


# The sources count what was collected; parts of some validation and test splits are kept back.
@pytest.mark.parametrize(
    ("name", "split", "pictures", "sentences"),
    [
        ("coco_mini491.zip", "train", 80, 400),
        ("coco_mini491.zip", "val", 283, 1416),
        ("flickr8k_1k.zip", "train", 850, 4250),
        ("flickr8k_1k.zip", "val", 75, 375),
    ],
)
def test_captions(packs: Path, name: str, split: str, pictures: int, sentences: int) -> None:
    read = read_captions(open_pack(packs, name), split=split)
    assert (len(read), read.num_items(), len(read.defects)) == (pictures, sentences, 0)
    assert all(item.language == "en" for i in range(len(read)) for item in read.items(i))
    assert read.image(len(read) - 1).shape[2] == 3


def test_chinese_sentences_and_sentences_without_pictures(packs: Path) -> None:
    table, images = open_pack(packs, "coco_cn_ext.zip"), open_pack(packs, "coco_mini491.zip")
    counts = [len(read_captions(table, split=split, images=images)) for split in ("train", "val")]
    assert counts == [5, 7]
    texts = open_pack(packs, "flickr8k_1k.zip") / "flickr8k_1k" / "captions_other_images.txt"
    assert len(read_sentences(texts)) == 35_455


@pytest.mark.parametrize(
    ("name", "split", "pictures", "questions"),
    [
        ("vqa.zip/easy_vqa", "train", 4000, 38_575),
        ("vqa.zip/easy_vqa", "test", 1000, 9_673),
        ("daquar.zip", "train", 794, 6_795),
        ("daquar.zip", "test", 436, 3_749),
    ],
)
def test_questions(packs: Path, name: str, split: str, pictures: int, questions: int) -> None:
    read = read_questions(open_pack(packs, name), split=split)
    assert (len(read), read.num_items()) == (pictures, questions)
    everything = [question for i in range(len(read)) for question in read.items(i)]
    if "easy_vqa" in name:
        kinds = Counter(question.kind for question in everything)
        assert set(kinds) == {"yes/no", "colour", "shape"}
        assert kinds["yes/no"] == {"train": 28_407, "test": 7_136}[split]
        assert len({question.answers[0] for question in everything}) == 13
    else:
        single = read_questions(open_pack(packs, name), split=split, single_word=True)
        assert single.num_items() == sum("," not in q.answers[0] for q in everything)


def test_statements(packs: Path) -> None:
    # The sources count the line ends of the files, of which two lack the last.
    for split, sentences in (("dev", 989), ("test", 990), ("hidden", 985)):
        read = read_statements(open_pack(packs, "vqa.zip/nlvr"), split=split)
        assert (len(read), read.num_items()) == (6 * sentences, 6 * sentences)
        assert read.image(0).shape == (100, 400, 3)


def test_words(packs: Path) -> None:
    path = open_pack(packs, "scene_text_words.zip")
    for split, subset, count in (("train", "iiit5k", 2000), ("test", "iiit5k", 3000), ("test", "ic03", 860)):
        read = read_words(path, split=split, subset=subset)
        assert len(read) == read.num_items() == count
        height, width, _ = read.image(0).shape
        assert height <= 32
        assert width <= 256
    assert read_words(path).items(0)[0].text == "You"


@pytest.mark.parametrize(
    ("name", "list_name", "train"),
    [
        ("gtsrb32.zip", "gtsrb", 4730),
        ("tt100k_signs.zip", "tt100k", 3375),
        ("traffic_light_crops.zip", "traffic_light", 1187),
    ],
)
def test_crops(packs: Path, name: str, list_name: str, train: int) -> None:
    named = read_named_splits(open_pack(packs, name))
    assert named.names == class_names(list_name)
    assert len(named.splits.train) == train
    assert min(named.splits.val.class_counts()) >= 1
    if list_name == "tt100k":
        assert named.splits.train.classes == class_keys(list_name)


def drawn_questions(drawn: Any, epochs: int = 2) -> list[tuple[int, Any]]:
    return [
        (drawn.indices[i], record)
        for epoch in range(epochs)
        for i in range(len(drawn))
        for record in drawn.at_epoch(epoch).items(i)
    ]


def test_questions_about_coco_are_answered_alike_by_plain_loops(packs: Path) -> None:
    images = read_detection(open_pack(packs, "coco_mini491.zip"), split="val")

    def boxes_of(index: int) -> list[Box]:
        a, names = images.annotation(index), images.classes
        rows = zip(a.labels.tolist(), a.boxes.tolist(), a.ignored.tolist(), strict=True)
        return [Box(names.en[label], names.zh[label], tuple(box), ignored) for label, box, ignored in rows]

    drawn = object_questions(images, seed=0)
    assert len(drawn) == 204  # the others were never annotated
    for index, question in drawn_questions(drawn):
        right = answer_about_boxes(
            question.text, boxes_of(index), images.annotation(index).size, images.classes
        )
        assert set(question.answers) & right, (images.name(index), question, right)
    for index, reference in drawn_questions(object_references(images)):
        assert fits_only(reference.text, boxes_of(index), images.classes) == reference.index


@pytest.mark.parametrize(("split", "pictures"), [("train", 229), ("val", 35)])
def test_questions_about_junctions_are_answered_alike_by_plain_rules(
    packs: Path, split: str, pictures: int
) -> None:
    images = read_detection(open_pack(packs, "traffic_lights_cn.zip"), split=split)
    assert images.classes == class_names("traffic_lights_cn")
    keys = class_keys("traffic_lights_cn")
    drawn = light_questions(images)
    assert len(drawn) == pictures  # one of the train pictures shows a countdown only
    questions = drawn_questions(drawn, 4)
    for index, question in questions:
        heads = [keys[label] for label in images.annotation(index).labels.tolist()]
        right = answer_about_lights(question.text, heads)
        assert set(question.answers) & right, (images.name(index), question, heads)
    straight = [q.answers[0] in ("yes", "可以") for _, q in questions if q.kind == "go straight"]
    assert 0.35 < np.mean(straight) < 0.65


def test_questions_about_streets_are_answered_alike_by_looking_at_the_pixels(packs: Path) -> None:
    images = read_semantic(open_pack(packs, "camvid.zip"), split="train")
    images = images.select(range(0, len(images), 6))
    kinds = set()
    for index, question in drawn_questions(street_questions(images)):
        right = answer_about_street(question.text, images.mask(index), images.classes)
        assert set(question.answers) & right, (images.name(index), question, right)
        kinds.add(question.kind)
    assert kinds >= {"presence", "aside", "ahead", "share", "ground"}
