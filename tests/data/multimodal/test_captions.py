"""Every form of captions gives the same pictures; what is wrong is said, or left out and reported."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from intern25.data.multimodal.captions import read_captions, read_sentences
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Sentence
from intern25.data.trees import SplitMissingError
from tests.data.made_files import Files, picture, write_files

PICTURES = {"train/a.png": picture(0), "train/b.png": picture(1), "val/c.png": picture(2)}
EXPECTED = {
    "train": {"train/a.png": ["a red dog", "两只狗"], "train/b.png": ["a cat, asleep"]},
    "val": {"val/c.png": ["a tree"]},
}


def coco_files() -> dict[str, str]:
    files = {}
    for split, wanted in EXPECTED.items():
        images = [{"id": i, "file_name": n.split("/")[1]} for i, n in enumerate(wanted, start=5)]
        texts = [(i, text) for i, one in enumerate(wanted.values(), start=5) for text in one]
        annotations = [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(texts)]
        document = {"images": images, "annotations": annotations}
        files[f"annotations/captions_{split}2017.json"] = json.dumps(document)
    return files


def rows() -> list[tuple[str, str, list[str]]]:
    return [(split, name, texts) for split, part in EXPECTED.items() for name, texts in part.items()]


def list_files() -> dict[str, str]:
    document = [{"file": name, "split": split, "captions": texts} for split, name, texts in rows()]
    return {"captions.json": json.dumps(document), "captions_other.txt": "a sentence\n"}


def jsonl_files() -> dict[str, str]:
    lines = []
    for _, name, texts in rows():
        one = texts if len(texts) > 1 else texts[0]
        lines.append(json.dumps({"image": name, "caption": one}, ensure_ascii=False))
    return {"all.jsonl": "\n".join(lines)}


def split_jsonl_files() -> dict[str, str]:
    return {
        f"{split}.jsonl": "\n".join(
            json.dumps({"image": name, "captions": texts}) for name, texts in part.items()
        )
        for split, part in EXPECTED.items()
    }


def token_files() -> dict[str, str]:
    lines = [f"{n.split('/')[1]}#{k}\t{text}" for _, n, texts in rows() for k, text in enumerate(texts)]
    return {
        "Flickr8k.token.txt": "\n".join(lines) + "\n",
        "Flickr_8k.trainImages.txt": "a.png\nb.png\n",
        "Flickr_8k.devImages.txt": "c.png\n",
    }


def csv_files() -> dict[str, str]:
    lines = [f'{n},"{text}"' for _, n, texts in rows() for text in texts]
    return {"captions.txt": "image,caption\n" + "\n".join(lines) + "\n"}


FORMS = {
    "coco": coco_files,
    "list": list_files,
    "jsonl": jsonl_files,
    "jsonl of splits": split_jsonl_files,
    "token": token_files,
    "csv": csv_files,
}


def content(pictures: AnnotatedPictures[Sentence]) -> dict[str, list[str]]:
    return {pictures.name(i): [item.text for item in pictures.items(i)] for i in range(len(pictures))}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_forms_give_the_same_captions(tmp_path: Path, form: str, zipped: bool) -> None:
    path = write_files(tmp_path, {**PICTURES, **FORMS[form]()}, zipped=zipped)
    for split in ("train", "val"):
        pictures = read_captions(path, split=split)
        assert content(pictures) == EXPECTED[split]
        assert pictures.image(0).shape == (32, 40, 3)
        assert pictures.defects == ()
    assert [item.language for item in read_captions(path).items(0)] == ["en", "zh"]
    with pytest.raises((SplitMissingError, ValueError), match="test"):
        read_captions(path, split="test")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_may_be_named_and_pictures_lie_elsewhere(tmp_path: Path, zipped: bool) -> None:
    files = {f"deep/{name}": text for name, text in coco_files().items()}
    path = write_files(tmp_path, files, zipped=zipped)
    images = write_files(tmp_path, PICTURES, name="pictures")
    file = path / "deep" / "annotations" / "captions_val2017.json"
    assert content(read_captions(file, split="val", images=images)) == EXPECTED["val"]
    with pytest.raises(ValueError, match="does not exist"):
        read_captions(path / "deep" / "captions_test.json")


def test_sentences_by_id_find_the_pictures_that_are_there(tmp_path: Path) -> None:
    table = "coco_id\tsentence\n42\t一条狗\n7\t别的图\n42\t狗在跑\n9\t一棵树\n"
    images = write_files(
        tmp_path,
        {"train2014/COCO_train2014_000000000042.png": picture(0), "val/000000000009.png": picture(1)},
        name="pictures",
    )
    path = write_files(tmp_path, {"captions_zh.tsv": table})
    train = read_captions(path, images=images)
    assert content(train) == {"train2014/COCO_train2014_000000000042.png": ["一条狗", "狗在跑"]}
    assert {item.language for item in train.items(0)} == {"zh"}
    assert content(read_captions(path, split="val", images=images)) == {"val/000000000009.png": ["一棵树"]}
    with pytest.raises(ValueError, match="none of the pictures of the 4 sentences"):
        read_captions(path, images=write_files(tmp_path, {"x/1.png": picture(0)}, name="other"))


def coco(**changes: Any) -> Files:
    document = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 3, "image_id": 1, "caption": "a dog"}],
    }
    return {"captions_train.json": json.dumps({**document, **changes}), "a.png": picture(0)}


BAD_ROWS = {
    "no such image": (
        coco(
            annotations=[
                {"id": 3, "image_id": 1, "caption": "a dog"},
                {"id": 4, "image_id": 2, "caption": "x"},
            ]
        ),
        "annotation 4: image_id 2 is not among the images",
    ),
    "empty caption": (
        coco(
            annotations=[{"id": 3, "image_id": 1, "caption": "a"}, {"id": 4, "image_id": 1, "caption": " "}]
        ),
        "annotation 4: its caption   is not a text",
    ),
    "caption of a wrong type": (
        coco(annotations=[{"id": 3, "image_id": 1, "caption": "a"}, {"id": 4, "image_id": 1, "caption": 7}]),
        "its caption 7 is not a text",
    ),
    "annotation of a wrong type": (
        coco(annotations=[{"id": 3, "image_id": 1, "caption": "a"}, 5]),
        "an annotation is no object: 5",
    ),
    "image id twice": (
        coco(images=[{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "a.png"}]),
        "image id 1 occurs twice",
    ),
    "picture twice": (
        coco(images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}]),
        "the picture a.png is listed twice",
    ),
    "missing picture": (
        coco(images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]),
        "its picture b.png is missing",
    ),
    "image without id": (coco(images=[{"id": 1, "file_name": "a.png"}, {}]), "an image has no id"),
    "file name of a wrong type": (
        coco(images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": 3}]),
        "the picture 3 is not a file name",
    ),
    "bad line": (
        {"x.jsonl": '{"image": "a.png", "caption": "a"}\n{"image": \n', "a.png": picture(0)},
        "annotation 2: it is not valid JSON",
    ),
    "line of a wrong type": (
        {"x.jsonl": '{"image": "a.png", "caption": "a"}\n[1]\n', "a.png": picture(0)},
        r"annotation 2: it is no JSON object: \[1\]",
    ),
    "unknown language": (
        {
            "x.jsonl": '{"image": "a.png", "caption": "a"}\n'
            '{"image": "a.png", "caption": "b", "language": "fr"}',
            "a.png": picture(0),
        },
        "its language is fr; write en or zh",
    ),
    "empty list": (
        {
            "x.jsonl": '{"image": "a.png", "caption": "a"}\n{"image": "a.png", "caption": []}',
            "a.png": picture(0),
        },
        "annotation 2: it has no caption",
    ),
    "no number": (
        {"x.token.txt": "a.png#0\ta\na.png two\n", "a.png": picture(0)},
        "annotation 2: it is not a numbered caption: a.png two",
    ),
    "comma in a csv text": (
        {"captions.csv": "image,caption\na.png,a\na.png,a, b\n", "a.png": picture(0)},
        "it has 3 fields, the header 2",
    ),
}


@pytest.mark.parametrize(("files", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_are_refused_or_left_out(tmp_path: Path, files: Files, message: str) -> None:
    path = write_files(tmp_path, files)
    with pytest.raises(ValueError, match=f"(?s)1 defect.*--skip-bad.*{message}"):
        read_captions(path)
    pictures = read_captions(path, skip_bad=True)
    assert len(pictures.defects) == 1
    assert len(pictures) == 1
    assert pictures.items(0)[0].text in ("a", "a dog")


USELESS = {
    "nothing": ({"a.png": picture(0)}, "no captions in"),
    "empty json": ({"captions_train.json": " ", "a.png": picture(0)}, "captions_train.json is empty"),
    "broken json": ({"captions_train.json": '{"images": [', "a.png": picture(0)}, "is not valid JSON"),
    "json of another form": (
        {"captions_train.json": '{"a": 1}', "a.png": picture(0)},
        "a list .* is expected",
    ),
    "no rows": ({"captions.json": "[]", "a.png": picture(0)}, "no usable row"),
    "empty lines": ({"x.jsonl": "\n", "a.png": picture(0)}, "no usable row"),
    "two files": (
        {"x.jsonl": "", "y.jsonl": "", "a.png": picture(0)},
        "2 files for the split 'train'; give the path of one: x.jsonl, y.jsonl",
    ),
    "not text": ({"x.jsonl": b"\xff\xfe", "a.png": picture(0)}, "is not UTF-8"),
}


@pytest.mark.parametrize(("files", "message"), USELESS.values(), ids=USELESS)
def test_useless_data_is_refused(tmp_path: Path, files: Files, message: str) -> None:
    for skip_bad in (False, True):
        with pytest.raises(ValueError, match=message):
            read_captions(write_files(tmp_path, files), skip_bad=skip_bad)


def test_other_wrong_requests(tmp_path: Path) -> None:
    path = write_files(tmp_path, coco())
    with pytest.raises(ValueError, match="unknown format 'xml' of a caption data set; known: auto, coco"):
        read_captions(path, "xml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected the token format"):
        read_captions(path, "token")
    with pytest.raises(SplitMissingError, match=r"no split 'val': found captions_train.json"):
        read_captions(path, split="val")


def test_no_row_left_names_the_first_defect(tmp_path: Path) -> None:
    path = write_files(tmp_path, {"x.jsonl": '{"image": "gone.png", "caption": "a"}', "a.png": picture(0)})
    with pytest.raises(
        ValueError, match=r"no usable row; the first defect: x.jsonl, annotation 1: .*gone.png"
    ):
        read_captions(path, skip_bad=True)


def test_sentences_without_pictures(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        archive.writestr("pack/other.txt", "a dog runs\n\n 一条狗 \n")
        archive.writestr("pack/empty.txt", "\n")
    assert read_sentences(tmp_path / "texts.zip" / "pack" / "other.txt") == (
        Sentence(text="a dog runs", language="en"),
        Sentence(text="一条狗", language="zh"),
    )
    with pytest.raises(ValueError, match="has no sentence"):
        read_sentences(tmp_path / "texts.zip" / "pack" / "empty.txt")
    with pytest.raises(ValueError, match="is no text file"):
        read_sentences(tmp_path / "texts.zip")
