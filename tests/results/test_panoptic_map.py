# SPDX-License-Identifier: MIT
"""Things and stuff: JSON, COCO, files, selection, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from intern25.data.run_lengths import decode_mask
from intern25.results import PanopticMap

IDS = np.array([[1, 1, 1, 1, 2], [1, 1, 3, 0, 2], [1, 1, 3, 3, 0]], dtype=np.int32)


def result(**changes: object) -> PanopticMap:
    values: dict[str, object] = {
        "ids": IDS,
        "labels": np.array([0, 2, 2]),
        "scores": np.array([0.9, 0.8, 0.95], dtype=np.float32),
        "is_thing": np.array([False, True, True]),
        "names_en": ("sky", "car", "car"),
        "names_zh": ("天空", "汽车", "汽车"),
        "palette": ((1, 2, 3), (40, 50, 60), (200, 100, 0)),
        "source": "街.jpg",
    }
    return PanopticMap(**{**values, **changes})  # type: ignore[arg-type]


def nothing(size: tuple[int, int] = (2, 3)) -> PanopticMap:
    return result(
        ids=np.zeros(size, dtype=np.int32),
        labels=np.zeros(0, dtype=np.int64),
        scores=np.zeros(0, dtype=np.float32),
        is_thing=np.zeros(0, dtype=bool),
        names_en=(),
        names_zh=(),
    )


def decoded(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return red + 256 * green + 256**2 * blue


def test_areas_and_boxes() -> None:
    assert result().areas.tolist() == [8, 2, 3]
    assert result().boxes.tolist() == [[0, 0, 4, 3], [4, 0, 5, 2], [2, 1, 4, 3]]
    assert len(result()) == 3
    assert result().size == (3, 5)


def test_a_segment_without_pixels_has_an_empty_box() -> None:
    gone = result(ids=np.where(IDS == 2, 0, IDS))
    assert gone.areas.tolist() == [8, 0, 3]
    assert gone.boxes.tolist()[1] == [0, 0, 0, 0]


def test_json_lists_the_segments() -> None:
    found = json.loads(result().to_json())
    assert (found["source"], found["size"]) == ("街.jpg", [3, 5])
    assert [row["id"] for row in found["segments"]] == [1, 2, 3]
    assert found["segments"][1] == {
        "id": 2,
        "label": 2,
        "name_en": "car",
        "name_zh": "汽车",
        "is_thing": True,
        "score": 0.8,
        "box": [4, 0, 5, 2],
        "pixels": 2,
        "share": round(2 / 15, 6),
    }


def test_json_with_masks_gives_the_ids_back() -> None:
    found = json.loads(result().to_json(masks=True))
    ids = np.zeros(found["size"], dtype=np.int32)
    for row in found["segments"]:
        ids[decode_mask(row["mask"])] = row["id"]
    assert np.array_equal(ids, IDS)


def test_coco_pixels_decode_to_the_ids() -> None:
    annotation, pixels = result().to_coco(7, file_name="7.png", category_ids={0: 10, 2: 30})
    assert pixels.dtype == np.uint8
    assert np.array_equal(decoded(pixels), IDS)
    assert (annotation["image_id"], annotation["file_name"]) == (7, "7.png")
    assert annotation["segments_info"][1:] == [
        {"id": 2, "category_id": 30, "area": 2, "bbox": [4, 0, 1, 2], "iscrowd": 0},
        {"id": 3, "category_id": 30, "area": 3, "bbox": [2, 1, 2, 2], "iscrowd": 0},
    ]
    json.dumps(annotation)


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=8))
def test_ids_above_a_byte_are_encoded(values: list[int]) -> None:
    count = max(values)
    names = ("a",) * count
    many = result(
        ids=np.array([values], dtype=np.int32),
        labels=np.zeros(count, dtype=np.int64),
        scores=np.ones(count, dtype=np.float32),
        is_thing=np.ones(count, dtype=bool),
        names_en=names,
        names_zh=names,
    )
    pixels = np.stack([many.ids >> shift & 255 for shift in (0, 8, 16)], axis=-1)
    assert decoded(pixels).tolist() == [values]


def test_the_file_is_cocos(tmp_path: Path) -> None:
    result().save_masks(tmp_path / "a.png")
    stored = Image.open(tmp_path / "a.png")
    assert stored.mode == "RGB"
    assert np.array_equal(decoded(np.asarray(stored)), IDS)
    with pytest.raises(ValueError, match=r"must end in \.png"):
        result().save_masks(tmp_path / "a.jpg")


def test_selection_renumbers() -> None:
    cars = result().select([2, 1])
    assert cars.scores.tolist() == pytest.approx([0.95, 0.8])
    assert cars.ids.tolist() == [[0, 0, 0, 0, 2], [0, 0, 1, 0, 2], [0, 0, 1, 1, 0]]
    assert result().select(result().is_thing).names("both") == ("car / 汽车",) * 2
    assert len(result().select([])) == 0


def test_an_empty_picture(tmp_path: Path) -> None:
    empty = nothing()
    assert empty.to_record()["segments"] == []
    annotation, pixels = empty.to_coco()
    assert annotation["segments_info"] == []
    assert not pixels.any()
    assert empty.boxes.shape == (0, 4)
    empty.save_masks(tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png")).shape == (2, 3, 3)


def test_one_segment() -> None:
    one = nothing((4, 6)).__class__(
        ids=np.ones((4, 6), dtype=np.int32),
        labels=np.array([1]),
        scores=np.array([1.0], dtype=np.float32),
        is_thing=np.array([False]),
        names_en=("road",),
        names_zh=("道路",),
        palette=((0, 0, 0), (9, 9, 9)),
    )
    assert one.to_record()["segments"][0]["share"] == 1.0
    assert one.boxes.tolist() == [[0, 0, 6, 4]]


def test_supervision_gets_masks_and_names() -> None:
    pytest.importorskip("supervision")
    found = result().to_supervision()
    assert np.array_equal(found.mask, [number == IDS for number in (1, 2, 3)])
    assert found.xyxy.tolist() == result().boxes.tolist()
    assert found.data["class_name_zh"].tolist() == ["天空", "汽车", "汽车"]
    assert found.data["is_thing"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"names_en": ("a",)}, "got 3, 3, 3, 1, 3"),
        ({"ids": IDS + 1}, "ids 1 to 4 must be 0 for none, or 1 to 3"),
        ({"ids": IDS - 1}, "ids -1 to 2"),
        ({"ids": IDS[None]}, r"ids int32 of \(1, 3, 5\)"),
        ({"ids": IDS.astype(float)}, "ids float64"),
        ({"labels": np.array([0, 2, 3])}, r"labels \[3\] have no colour"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, object], shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        result(**changes)
