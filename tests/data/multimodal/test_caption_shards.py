"""Webdataset shards of pictures with text."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.multimodal.captions import read_captions
from intern25.data.trees import SplitMissingError
from tests.data.made_files import picture

Members = dict[str, bytes]


def write_tar(path: Path, members: Members) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def fields(**values: object) -> bytes:
    return json.dumps(values).encode()


GOOD = {
    "0.png": picture(0),
    "0.txt": b" a dog \n",
    "1.png": picture(1),
    "1.json": fields(caption=["x", "一棵树"]),
}


def test_texts_and_json_of_all_shards(tmp_path: Path) -> None:
    write_tar(tmp_path / "set" / "train-000000.tar", GOOD)
    write_tar(
        tmp_path / "set" / "train-000001.tar",
        {"0.png": picture(2), "0.json": fields(text="c", language="zh")},
    )
    write_tar(tmp_path / "set" / "val-000000.tar", {"v.png": picture(3), "v.txt": b"v"})
    for path in (tmp_path / "set", tmp_path / "set" / "train-{000000..000001}.tar"):
        pictures = read_captions(path)
        texts = [[(s.text, s.language) for s in pictures.items(i)] for i in range(3)]
        assert texts == [[("a dog", "en")], [("x", "en"), ("一棵树", "zh")], [("c", "zh")]]
        for index in range(3):
            expected = np.asarray(Image.open(io.BytesIO(picture(index))))
            np.testing.assert_array_equal(pictures.image(index), expected)
    assert read_captions(tmp_path / "set", split="val").items(0)[0].text == "v"
    with pytest.raises(SplitMissingError, match="no shards of the split 'test': found train, val"):
        read_captions(tmp_path / "set", split="test")


BAD = {
    "no picture": ({"2.txt": b"x"}, "annotation a.tar/2: its picture is missing"),
    "no text": ({"2.png": picture(2)}, "annotation a.tar/2: it has no caption"),
    "empty text": ({"2.png": picture(2), "2.txt": b" "}, "annotation a.tar/2: it has no caption"),
    "broken json": ({"2.png": picture(2), "2.json": b"{"}, "annotation a.tar/2: its .json is not valid"),
    "json list": ({"2.png": picture(2), "2.json": b"[1]"}, "annotation a.tar/2: its .json is no object"),
    "wrong type": (
        {"2.png": picture(2), "2.json": fields(caption=3)},
        "annotation a.tar/2: it has no caption",
    ),
    "language": ({"2.png": picture(2), "2.json": fields(caption="x", language="fr")}, "its language is fr"),
}


@pytest.mark.parametrize(("members", "message"), BAD.values(), ids=BAD)
def test_bad_samples_are_refused_or_left_out(tmp_path: Path, members: Members, message: str) -> None:
    write_tar(tmp_path / "a.tar", {**GOOD, **members})
    with pytest.raises(ValueError, match=f"(?s)--skip-bad.*{message}"):
        read_captions(tmp_path / "a.tar")
    pictures = read_captions(tmp_path / "a.tar", skip_bad=True)
    assert len(pictures) == 2
    assert message.rsplit(": ", maxsplit=1)[-1] in str(pictures.defects[0])


def test_broken_and_missing_shards(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar at all")
    with pytest.raises(ValueError, match="not a readable uncompressed tar"):
        read_captions(tmp_path / "a.tar")
    with pytest.raises(ValueError, match="shards are missing"):
        read_captions(tmp_path / "b-{000000..000001}.tar")
