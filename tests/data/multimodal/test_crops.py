"""Labelled crops get the names of their classes in two languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from intern25.data.class_names import class_names
from intern25.data.multimodal.crops import read_named_splits
from intern25.data.sources import read_splits
from tests.data.made_files import Files, picture, write_files


def crops(classes: list[str], column: str = "class") -> dict[str, bytes | str]:
    rows, files = [f"file,{column},split"], {}
    for number, name in enumerate(classes):
        for split in ("train", "test"):
            files[f"{split}/{number}.png"] = picture(number)
            rows.append(f"{split}/{number}.png,{name},{split}")
    return {**files, "labels.csv": "\n".join(rows)}


@pytest.mark.parametrize("zipped", [False, True])
def test_known_lists_need_no_file_of_names(tmp_path: Path, zipped: bool) -> None:
    named = read_named_splits(write_files(tmp_path, crops(["red", "green", "yellow"]), zipped=zipped))
    assert named.splits.train.classes == ("green", "red", "yellow")
    assert named.names == class_names("traffic_light")


def test_class_ids_are_sorted_by_number_and_named_by_the_file(tmp_path: Path) -> None:
    ids = [str(number) for number in range(12)]
    names = "\n".join(f"{number},thing {number}" for number in ids)
    path = write_files(tmp_path, {**crops(ids, "class_id"), "classes.txt": names})
    named = read_named_splits(path)
    assert named.splits.train.classes == tuple(ids)
    assert named.names.en[10] == named.names.zh[10] == "thing 10"
    # Numbers that are class names keep the order they always had.
    assert read_splits(write_files(tmp_path, crops(ids), name="names")).train.classes == tuple(sorted(ids))


def test_names_in_two_languages(tmp_path: Path) -> None:
    files: Files = {
        **crops(["a1", "b2"]),
        "classes.tsv": "code\ten\tzh\na1\tturn left\t左转\nb2\tstop\t停车\n",
    }
    assert read_named_splits(write_files(tmp_path, files)).names.zh == ("左转", "停车")
    lacking: Files = {**crops(["a1", "c3"]), "classes.tsv": "a1\tturn left\t左转\n"}
    with pytest.raises(ValueError, match="has no name for 1 classes, such as c3"):
        read_named_splits(write_files(tmp_path, lacking, name="lacking"))
    plain = read_named_splits(write_files(tmp_path, crops(["x", "y"]), name="plain"))
    assert plain.names.zh == ("x", "y")
