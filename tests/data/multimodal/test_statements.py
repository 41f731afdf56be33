"""True and false statements: NLVR in folders and in a zip within a zip, and lines of JSON."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.multimodal.statements import read_statements
from intern25.data.stores import MemoryStore
from intern25.data.trees import SplitMissingError
from tests.data.made_files import Files, picture, write_files

LINES = [
    {"sentence": "There is a box.", "label": "true", "identifier": "12-0"},
    {"sentence": "There is no box.", "label": "false", "identifier": "12-1"},
]
PICTURES = {f"images/0/dev-12-{k}-{order}.png": picture(10 * k + order) for k in (0, 1) for order in range(6)}


def jsonl(rows: list[dict[str, object]]) -> str:
    return "\n".join(map(json.dumps, rows))


def nested_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in PICTURES.items():
            archive.writestr(f"dev/{name}", data)
    return buffer.getvalue()


FORMS: dict[str, Files] = {
    "folders": {"nlvr/dev.jsonl": jsonl(LINES), **{f"nlvr/dev/{n}": data for n, data in PICTURES.items()}},
    "zip within": {"nlvr/dev.jsonl": jsonl(LINES), "nlvr/dev_images.zip": nested_zip()},
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_nlvr(tmp_path: Path, form: str, zipped: bool) -> None:
    path = write_files(tmp_path, FORMS[form], zipped=zipped)
    pictures = read_statements(path / "nlvr")
    assert len(pictures) == pictures.num_items() == 12
    for index in range(12):
        name = pictures.name(index).rsplit("/", 1)[-1].removesuffix(".png")
        _, _, key, order = name.split("-")
        (statement,) = pictures.items(index)
        assert (statement.is_true, statement.language) == (key == "0", "en")
        expected = np.asarray(Image.open(io.BytesIO(picture(10 * int(key) + int(order)))))
        np.testing.assert_array_equal(pictures.image(index), expected)
    assert isinstance(pictures.store, MemoryStore) == (form == "zip within")
    with pytest.raises(SplitMissingError, match=r"no split 'hidden': found nlvr/dev.jsonl"):
        read_statements(path, split="hidden")


def test_lines(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"image": "a.png", "statement": "有一个方块", "label": True},
        {"image": "a.png", "sentence": "it is red", "label": "False"},
    ]
    pictures = read_statements(
        write_files(tmp_path, {"train.jsonl": jsonl(rows), "a.png": picture(0)}), split="train"
    )
    assert [(s.is_true, s.language) for s in pictures.items(0)] == [(True, "zh"), (False, "en")]


BAD = {
    "label": ({**LINES[1], "label": "perhaps"}, "its label is perhaps; write true or false"),
    "no label": ({"sentence": "x", "identifier": "12-1"}, "its label is null"),
    "sentence": ({**LINES[1], "sentence": None}, "its sentence null is not a text"),
    "no pictures": ({**LINES[1], "identifier": "99-1"}, "its pictures dev-99-1-<k>.png are missing"),
    "twice": (LINES[0], "its identifier 12-0 occurs twice"),
}


@pytest.mark.parametrize(("row", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_refused_or_left_out(tmp_path: Path, row: dict[str, object], message: str) -> None:
    path = write_files(tmp_path, {"dev.jsonl": jsonl([LINES[0], row]), **PICTURES})
    with pytest.raises(ValueError, match=f"(?s)1 defect.*annotation 2: {message}"):
        read_statements(path)
    pictures = read_statements(path, skip_bad=True)
    assert (len(pictures), len(pictures.defects)) == (6, 1)


def test_useless_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no statements in"):
        read_statements(write_files(tmp_path, PICTURES, name="empty"))
    with pytest.raises(ValueError, match=r"dev_images.zip is not a readable zip"):
        read_statements(
            write_files(tmp_path, {"dev.jsonl": jsonl(LINES), "dev_images.zip": b"no"}, name="bad")
        )
    with pytest.raises(ValueError, match="unknown format 'x'"):
        read_statements(tmp_path, "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no usable row"):
        read_statements(write_files(tmp_path, {"dev.jsonl": "", **PICTURES}, name="no_rows"))
