# SPDX-License-Identifier: MIT
"""Plain text files: lines by position, splits, archives, and what is refused."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intern25.data.multimodal.records import Sentence
from intern25.data.multimodal.texts import StoredTexts, read_texts
from intern25.data.trees import SplitMissingError


def all_of(texts: StoredTexts) -> list[str]:
    return [texts[index].text for index in range(len(texts))]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_every_line_comes_back(lines: list[str], ending: str, has_mark: bool) -> None:
    wanted = [line.strip() for line in lines if line.encode().strip() and line.strip()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(b"\xef\xbb\xbf" * has_mark + ending.join(lines).encode())
        if not wanted:
            return
        assert [text for text in all_of(read_texts(path)) if text] == wanted


def test_a_zip_and_a_folder_give_the_same_texts(tmp_path: Path) -> None:
    root = tmp_path / "my"
    (root / "zh").mkdir(parents=True)
    (root / "zh" / "train.txt").write_text("一只狗\n\n两只猫在跑\n", encoding="utf-8")
    (root / "en.txt").write_text("a dog\nno end of line", encoding="utf-8")
    (root / "val.txt").write_text("held out\n", encoding="utf-8")
    shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    for path in (root, tmp_path / "packed.zip"):
        texts = read_texts(path)
        assert all_of(texts) == ["a dog", "no end of line", "一只狗", "两只猫在跑"]
        assert texts[3] == Sentence(text="两只猫在跑", language="zh")
        assert all_of(read_texts(path, split="valid")) == ["held out"]
        assert all_of(texts.select([3, 0])) == ["两只猫在跑", "a dog"]
        assert all_of(pickle.loads(pickle.dumps(texts))) == all_of(texts)
        with pytest.raises(SplitMissingError, match="no text file of the split 'test'"):
            read_texts(path, split="test")


def test_files_called_texts_win_over_others(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("image,caption\n")
    assert all_of(read_texts(tmp_path)) == ["image,caption"]
    (tmp_path / "Texts_zh.txt").write_text("text of its own\n")
    assert all_of(read_texts(tmp_path)) == ["text of its own"]
    assert all_of(read_texts(tmp_path / "captions.txt")) == ["image,caption"]


def test_bad_lines_are_shown_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\n\xc4\xe3\xba\xc3\nzero\0byte\nmore\n")
    with pytest.raises(ValueError, match=r"2 defects.*\n.*a\.txt, annotation 2: it is not UTF-8.*at byte 0"):
        read_texts(path)
    texts = read_texts(path, skip_bad=True)
    assert all_of(texts) == ["good", "more"]
    assert [defect.row for defect in texts.defects] == [2, 3]
    path.write_bytes("全是中文\n另一行\n".encode("gb18030"))
    with pytest.raises(
        ValueError, match=r"1 defect;.*\n.*a\.txt: none of its lines can be read.*save the file"
    ):
        read_texts(path)
    with pytest.raises(ValueError, match="has no line of text; the first defect: "):
        read_texts(path, skip_bad=True)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.txt does not exist"):
        read_texts(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="has no text file"):
        read_texts(tmp_path)
    (tmp_path / "a.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"no line of text: a\.txt are empty"):
        read_texts(tmp_path)
