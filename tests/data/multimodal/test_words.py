"""Words to read: tables with sets and splits, plain tables, ICDAR lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from intern25.data.multimodal.words import read_words
from intern25.data.trees import SplitMissingError
from tests.data.made_files import Files, picture, write_files

NAMES = ("x/train/a.png", "x/test/b.png", "y/test/c.png")
PICTURES = {name: picture(i) for i, name in enumerate(NAMES)}
SETS = (
    "file\tset\tsplit\ttext\n"
    'x/train/a.png\tx\ttrain\tO"K\n'
    "x/test/b.png\tx\ttest\t出口\n"
    "y/test/c.png\ty\ttest\t5.99\n"
)


@pytest.mark.parametrize("zipped", [False, True])
def test_table_with_sets(tmp_path: Path, zipped: bool) -> None:
    path = write_files(tmp_path, {"labels.tsv": SETS, **PICTURES}, zipped=zipped)
    train, test = read_words(path), read_words(path, split="test")
    assert [(w.text, w.language) for i in range(len(train)) for w in train.items(i)] == [('O"K', "en")]
    assert [(w.text, w.language) for i in range(2) for w in test.items(i)] == [("出口", "zh"), ("5.99", "en")]
    assert read_words(path, split="test", subset="y").names == ("y/test/c.png",)
    with pytest.raises(ValueError, match="has no set 'z'; it has x, y"):
        read_words(path, subset="z")
    with pytest.raises(SplitMissingError, match="found test, train"):
        read_words(path, split="val")


def test_icdar_list(tmp_path: Path) -> None:
    text = '\ufeffword_1.png, "Tiredness"\nword_2.png, "say \\"hi, you\\""\n'
    files = {"train/gt.txt": text, "train/word_1.png": picture(0), "train/word_2.png": picture(1)}
    path = write_files(tmp_path, {**files, "test/gt.txt": 'word_1.png, "PAY"', "test/word_1.png": picture(2)})
    pictures = read_words(path)
    assert [pictures.items(i)[0].text for i in range(2)] == ["Tiredness", 'say "hi, you"']
    test = read_words(path, split="test")
    assert (test.names, test.items(0)[0].text) == (("test/word_1.png",), "PAY")


def test_plain_table(tmp_path: Path) -> None:
    path = write_files(tmp_path, {"lines.tsv": "a.png\ta line of text\n", "a.png": picture(0)})
    assert read_words(path).items(0)[0].text == "a line of text"
    with pytest.raises(ValueError, match="no column 'set'"):
        read_words(path, subset="x")


BAD = {
    "fields": ({"l.tsv": "a.png\ta\nb.png\tb\tc\n", "a.png": picture(0)}, "it has 3 fields"),
    "no text": ({"l.tsv": "a.png\ta\nb.png\t \n", "a.png": picture(0), "b.png": picture(1)}, "is not a text"),
    "missing": ({"l.tsv": "a.png\ta\nb.png\tb\n", "a.png": picture(0)}, "its picture b.png is missing"),
    "twice": ({"l.tsv": "a.png\ta\na.png\tb\n", "a.png": picture(0)}, "the picture a.png is listed twice"),
    "no quotes": ({"gt.txt": 'a.png, "a"\nb.png, b\n', "a.png": picture(0)}, "it is no line of a word"),
}


@pytest.mark.parametrize(("files", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_refused_or_left_out(tmp_path: Path, files: Files, message: str) -> None:
    path = write_files(tmp_path, files)
    with pytest.raises(ValueError, match=f"(?s)1 defect.*annotation 2: .*{message}"):
        read_words(path)
    pictures = read_words(path, skip_bad=True)
    assert (pictures.names, pictures.items(0)[0].text, len(pictures.defects)) == (("a.png",), "a", 1)


def test_useless_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no words to read"):
        read_words(write_files(tmp_path, PICTURES))
    with pytest.raises(ValueError, match="no usable row"):
        read_words(write_files(tmp_path, {"a.tsv": "\n", "a.png": picture(0)}, name="empty"))
    with pytest.raises(ValueError, match="unknown format 'x' of a reading data set"):
        read_words(tmp_path, "x")  # type: ignore[arg-type]
