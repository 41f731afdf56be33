# SPDX-License-Identifier: MIT
"""Class names: counts, order against independent lists, Chinese names, the 22k to 1k rows."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from intern25.data.class_names import TABLES, ClassNames, class_keys, class_names, imagenet_22k_to_1k

CLASSES = files("intern25") / "assets" / "classes"
SIZES = {
    "imagenet_1k": 1000,
    "imagenet_22k": 21841,
    "caltech101": 100,
    "cifar10": 10,
    "inaturalist_2018": 8142,
    "coco": 80,
    "lvis": 1203,
    "objects365": 365,
    "openimages": 601,
    "voc": 20,
    "crowdhuman": 1,
    "ade20k": 150,
    "cityscapes": 19,
    "mapillary": 66,
    "coco_stuff_164k": 171,
    "pascal_context_59": 59,
    "nyu40": 40,
    "camvid": 11,
    "bccd": 3,
    "dsb2018": 1,
    "gtsrb": 43,
    "tt100k": 60,
    "traffic_light": 3,
    "traffic_lights_cn": 14,
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def timm_list(file_name: str) -> list[str]:
    timm = pytest.importorskip("timm")
    return (Path(timm.__file__).parent / "data" / "_info" / file_name).read_text().splitlines()


@pytest.mark.parametrize(("list_name", "size"), SIZES.items())
def test_counts(list_name: str, size: int) -> None:
    names = class_names(list_name)
    assert len(names) == len(names.en) == len(names.zh) == size
    assert all(name and name == name.strip() for name in names.en + names.zh)
    assert class_names(list_name) is names


@pytest.mark.parametrize("list_name", [*TABLES, "inaturalist_2018"])
def test_different_classes_have_different_names(list_name: str) -> None:
    names = class_names(list_name)
    assert len(set(names.en)) == len(set(names.zh)) == len(names)


@pytest.mark.parametrize("list_name", TABLES)
def test_chinese_names_are_chinese(list_name: str) -> None:
    assert [name for name in class_names(list_name).zh if not CHINESE.search(name)] == []


@pytest.mark.parametrize(
    ("index", "en", "zh"),
    [
        (0, "tench", "丁鲷"),
        (134, "crane bird", "鹤"),
        (207, "golden retriever", "金毛寻回犬"),
        (281, "tabby", "虎斑猫"),
        (388, "giant panda", "大熊猫"),
        (398, "abacus", "算盘"),
        (500, "cliff dwelling", "崖居"),
        (517, "crane", "起重机"),
        (639, "maillot tank suit", "连体泳衣"),
        (717, "pickup", "皮卡"),
        (850, "teddy", "泰迪熊"),
        (963, "pizza", "披萨"),
        (999, "toilet tissue", "卫生纸"),
    ],
)
def test_imagenet_1k_order(index: int, en: str, zh: str) -> None:
    names = class_names("imagenet_1k")
    assert (names.name(index), names.name(index, "zh")) == (en, zh)


def test_imagenet_1k_english_names_equal_torchvision() -> None:
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert list(class_names("imagenet_1k").en) == _IMAGENET_CATEGORIES


def test_imagenet_1k_synsets_equal_timm() -> None:
    text = (CLASSES / "imagenet_1k.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["synset"] for row in rows] == timm_list("imagenet_synsets.txt")


def test_imagenet_22k_names_equal_first_lemmas_of_timm() -> None:
    lemmas = dict(line.split("\t", 1) for line in timm_list("imagenet_synset_to_lemma.txt"))
    expected = [lemmas[synset].split(",")[0] for synset in timm_list("imagenet22k_synsets.txt")]
    assert list(class_names("imagenet_22k").en) == expected


def test_imagenet_22k_chinese_names_come_from_imagenet_1k() -> None:
    names_1k, names_22k, rows = class_names("imagenet_1k"), class_names("imagenet_22k"), imagenet_22k_to_1k()
    for index, row in enumerate(rows):
        if index != 850:
            assert names_22k.zh[row] == names_1k.zh[index]
    others = set(range(21841)) - set(rows)
    assert all(names_22k.zh[row] == names_22k.en[row] for row in others)


def test_imagenet_22k_to_1k_equals_positions_in_timm_lists() -> None:
    position = {synset: row for row, synset in enumerate(timm_list("imagenet22k_synsets.txt"))}
    expected = [position.get(synset) for synset in timm_list("imagenet_synsets.txt")]
    assert [index for index, row in enumerate(expected) if row is None] == [850]
    expected[850] = 11136  # the row in the official list
    assert list(imagenet_22k_to_1k()) == expected


def test_imagenet_22k_to_1k_anchors() -> None:
    rows, names = imagenet_22k_to_1k(), class_names("imagenet_22k")
    assert len(rows) == 1000
    assert len(set(rows)) == 999  # only 849 and 850 share a row
    assert rows[849] == rows[850] == 11136
    assert [names.en[rows[index]] for index in (0, 207, 849, 963, 999)] == [
        "tench",
        "golden retriever",
        "teapot",
        "pizza",
        "toilet tissue",
    ]


def test_caltech101_order_equals_sorted_folders(shared_root: Path) -> None:
    archive = shared_root / "data" / "caltech101_128.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} is absent")
    with zipfile.ZipFile(archive) as file:
        labels = csv.DictReader(io.StringIO(file.read("caltech101_128/labels.csv").decode()))
        folders = sorted({row["class"] for row in labels})
    text = (CLASSES / "caltech101.tsv").read_text(encoding="utf-8")
    assert [line.split("\t")[0] for line in text.splitlines()[1:]] == folders


def test_cifar10_order() -> None:
    assert class_names("cifar10").en == (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )


@pytest.mark.parametrize("list_name", ["coco", "voc"])
def test_order_of_objects_equals_torchvision(list_name: str) -> None:
    from torchvision.models._meta import _COCO_CATEGORIES, _VOC_CATEGORIES

    theirs = {"coco": _COCO_CATEGORIES, "voc": _VOC_CATEGORIES}[list_name]
    known = [name for name in theirs if name not in ("__background__", "N/A")]
    assert list(class_names(list_name).en) == known


# Where an order is easily got wrong: ends, and the rows around a change of topic or of the alphabet.
ANCHORS = {
    "lvis": {0: ("aerosol can", "喷雾罐"), 817: ("plate", "餐盘"), 1202: ("zucchini", "西葫芦")},
    "objects365": {0: ("Person", "人"), 52: ("Basket", "篮子"), 364: ("Table Tennis", "乒乓球")},
    "openimages": {0: ("Tortoise", "陆龟"), 68: ("Person", "人"), 600: ("Helmet", "头盔")},
    "ade20k": {0: ("wall", "墙"), 12: ("person", "人"), 149: ("flag", "旗帜")},
    "cityscapes": {0: ("road", "道路"), 11: ("person", "行人"), 18: ("bicycle", "自行车")},
    "mapillary": {0: ("Bird", "鸟"), 13: ("Road", "道路"), 65: ("Unlabeled", "未标注")},
    "coco_stuff_164k": {79: ("toothbrush", "牙刷"), 80: ("banner", "横幅"), 170: ("wood", "木头")},
    "pascal_context_59": {0: ("aeroplane", "飞机"), 58: ("wood", "木头")},
    "nyu40": {0: ("wall", "墙"), 23: ("refrigerator", "冰箱"), 39: ("other object", "其他物品")},
    "camvid": {0: ("sky", "天空"), 10: ("bicyclist", "骑自行车的人")},
    "gtsrb": {14: ("stop", "停车让行"), 38: ("keep right", "靠右侧行驶")},
    "tt100k": {1: ("non-motor vehicles only", "非机动车行驶"), 59: ("other warning sign", "其他警告标志")},
    "traffic_lights_cn": {3: ("red left arrow", "红色左转箭头灯"), 13: ("green countdown", "绿色倒计时")},
    "bccd": {0: ("red blood cell", "红细胞"), 2: ("platelets", "血小板")},
}


@pytest.mark.parametrize("list_name", ANCHORS)
def test_anchors_of_objects_and_regions(list_name: str) -> None:
    names = class_names(list_name)
    assert {i: (names.en[i], names.zh[i]) for i in ANCHORS[list_name]} == ANCHORS[list_name]


def test_lvis_is_in_the_order_of_its_identifiers() -> None:
    """Categories are numbered by synset, whose first synonym is nearly, not quite, the alphabet's order."""
    keys = class_keys("lvis")
    assert keys[8:12] == ("amplifier", "anklet", "antenna", "apple")
    assert (keys.index("bat_(animal)"), keys.index("person")) == (63, 792)
    assert keys[12] == "applesauce"
    assert class_names("lvis").en[63] == "bat (animal)"


def test_things_of_coco_stuff_are_those_of_coco() -> None:
    stuff, coco = class_names("coco_stuff_164k"), class_names("coco")
    assert (stuff.en[:80], stuff.zh[:80]) == (coco.en, coco.zh)


def test_keys_are_what_the_annotations_say() -> None:
    assert class_keys("bccd") == ("RBC", "WBC", "Platelets")
    assert class_keys("objects365")[52] == "Bakset"
    assert class_keys("voc")[10] == "diningtable"
    for list_name in TABLES:
        assert len(set(class_keys(list_name))) == SIZES[list_name]
    with pytest.raises(ValueError, match="no keys for class list 'imagenet_22k'"):
        class_keys("imagenet_22k")


def test_padding_for_wider_heads() -> None:
    padded = class_names("cityscapes").padded(150)
    assert len(padded) == 150
    assert padded.en[18:20] == ("bicycle", "class 19")
    assert padded.zh[149] == "类别 149"
    assert class_names("camvid").padded(11) == class_names("camvid")
    with pytest.raises(ValueError, match="19 names for a head with 5 outputs"):
        class_names("cityscapes").padded(5)


def test_inaturalist_names_are_indices() -> None:
    names = class_names("inaturalist_2018")
    assert (names.name(0), names.name(8141), names.name(8141, "zh")) == (
        "species 0",
        "species 8141",
        "物种 8141",
    )


def test_assets_are_package_data_and_small() -> None:
    sizes = {entry.name: len(entry.read_bytes()) for entry in CLASSES.iterdir()}
    assert set(sizes) == {"imagenet_22k.tsv.gz", *(f"{name}.tsv" for name in TABLES)}
    assert sum(sizes.values()) < 300_000


def test_compressed_list_is_reproducible() -> None:
    data = (CLASSES / "imagenet_22k.tsv.gz").read_bytes()
    assert data[4:8] == b"\0\0\0\0"  # no time stamp
    assert gzip.decompress(data).startswith(b"step\ten\n")


def test_unknown_list_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'imagenet'; known: imagenet_22k, inaturalist_2018, imagenet_1k"):
        class_names("imagenet")


def test_json_round_trip() -> None:
    for list_name in ("imagenet_1k", "caltech101"):
        names = class_names(list_name)
        assert ClassNames.from_json(names.to_json()) == names
    assert ClassNames(("cat",), ("猫",)).to_json() == '{"en":["cat"],"zh":["猫"]}'


@pytest.mark.parametrize(
    "text", ["[]", '{"en":["a"]}', '{"en":"a","zh":"b"}', '{"en":[1],"zh":[2]}', "no json"]
)
def test_bad_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"class names are|Expecting value"):
        ClassNames.from_json(text)


def test_from_lists() -> None:
    assert ClassNames.from_lists(["a", "b"], ["甲", "乙"]).zh == ("甲", "乙")
    assert ClassNames.from_lists(["a", "b"]).zh == ("a", "b")
    with pytest.raises(ValueError, match="2 en and 1 zh"):
        ClassNames.from_lists(["a", "b"], ["甲"])
    with pytest.raises(TypeError, match="'cat'"):
        ClassNames.from_lists("cat")


def test_name_rejects_bad_arguments() -> None:
    names = class_names("cifar10")
    for index in (-1, 10):
        with pytest.raises(ValueError, match=r"outside 0\.\.9"):
            names.name(index)
    with pytest.raises(ValueError, match="'fr'"):
        names.name(0, "fr")  # type: ignore[arg-type]
