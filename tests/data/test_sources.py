"""Every layout gives the same images, and everything that is wrong is said before training."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intern25.data.decoding import decode, decoded_in_memory, without_bad_images
from intern25.data.labelled import LabelledImages, split_by_seed
from intern25.data.sources import read_splits
from intern25.data.stores import MemoryStore


def jpeg(seed: int, size: tuple[int, int] = (40, 32)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


# name of each file in the train/val layout: two classes, three training images and one validation image each
FILES = {
    f"{split}/{name}/{number}.jpg": jpeg(10 * label + number)
    for label, name in enumerate(("猫", "dog"))
    for split, numbers in (("train", (0, 1, 2)), ("val", (3,)))
    for number in numbers
}
Write = Callable[[Path, dict[str, bytes]], Path]


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / "set"


def write_zip(root: Path, files: dict[str, bytes], prefix: str = "") -> Path:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return root / "set.zip"


def write_prefixed_zip(root: Path, files: dict[str, bytes]) -> Path:
    return write_zip(root, files, prefix="pack/")


def with_csv(files: dict[str, bytes]) -> dict[str, bytes]:
    rows = ["file,class,split"]
    renamed = {}
    for number, (name, data) in enumerate(files.items()):
        split, label, _ = name.split("/")
        renamed[f"{number}.jpg"] = data
        rows.append(f"{number}.jpg,{label},{split}")
    return {**renamed, "labels.csv": "\n".join(rows).encode()}


def content(images: LabelledImages) -> list[tuple[str, bytes]]:
    return sorted((images.classes[images.labels[i]], images.read(i)) for i in range(len(images)))


EXPECTED = {
    split: sorted((name.split("/")[1], data) for name, data in FILES.items() if name.startswith(split))
    for split in ("train", "val")
}


@pytest.mark.parametrize("write", [write_folder, write_zip, write_prefixed_zip])
@pytest.mark.parametrize("change", [dict, with_csv])
def test_layouts_give_the_same_images(
    tmp_path: Path, write: Write, change: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    splits = read_splits(write(tmp_path, change(FILES)))
    assert splits.train.classes == splits.val.classes == ("dog", "猫")
    assert content(splits.train) == EXPECTED["train"]
    assert content(splits.val) == EXPECTED["val"]


@pytest.mark.parametrize("zipped", [False, True])
def test_official_lists(tmp_path: Path, zipped: bool) -> None:
    root = write_folder(tmp_path, FILES)
    (root / "meta_data").mkdir()
    for split in ("train", "val"):
        names = [name.removeprefix(f"{split}/") for name in FILES if name.startswith(split)]
        lines = "\n".join(f"{name} {0 if '猫' in name else 1}" for name in names)
        if zipped:
            with zipfile.ZipFile(root / "meta_data" / f"{split}.txt.zip", "w") as archive:
                archive.writestr(f"{split}.txt", lines)
            with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
                for name in names:
                    archive.writestr(name, FILES[f"{split}/{name}"])
        else:
            (root / "meta_data" / f"{split}.txt").write_text(lines + "\n")
    splits = read_splits(root)
    assert splits.train.classes == ("0", "1")
    assert [data for _, data in content(splits.train)] == [
        data
        for _, data in sorted((f"{int('dog' in n)}", d) for n, d in FILES.items() if n.startswith("train"))
    ]


@pytest.mark.parametrize("pattern", [True, False])
def test_shards(tmp_path: Path, pattern: bool) -> None:
    names = [f"shard-{index:06d}.tar" for index in range(2)]
    for shard, name in enumerate(names):
        with tarfile.open(tmp_path / name, "w") as archive:
            for number in range(4):
                files = {"jpg": jpeg(shard * 4 + number), "cls": str(number % 2).encode()}
                for suffix, data in files.items():
                    info = tarfile.TarInfo(f"{shard}-{number}.{suffix}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    splits = read_splits(tmp_path / "shard-{000000..000001}.tar" if pattern else tmp_path)
    both = content(splits.train) + content(splits.val)
    assert sorted(both) == sorted((str(i % 2), jpeg(i)) for i in range(8))
    assert splits.val.class_counts() == [1, 1]
    with pytest.raises(ValueError, match=r"1 of 3 shards are missing.*000002"):
        read_splits(tmp_path / "shard-{000000..000002}.tar")


def test_class_folders_are_split_by_seed(tmp_path: Path) -> None:
    files = {
        f"{name}/{i}.jpg": jpeg(i) for name, n in (("many", 20), ("few", 2), ("one", 1)) for i in range(n)
    }
    root = write_folder(tmp_path, files)
    first, again, other = (read_splits(root, seed=seed) for seed in (0, 0, 1))
    assert first.val.names == again.val.names != other.val.names
    assert first.val.class_counts() == [1, 2, 0]  # few, many, one: a class of one image trains only
    assert first.train.class_counts() == [1, 18, 1]
    assert not set(first.train.names) & set(first.val.names)


BAD = {
    "no images": ({"readme.txt": b"x"}, "no images in"),
    "no val": ({n: d for n, d in FILES.items() if n.startswith("train")}, "has no val split"),
    "no train": ({n: d for n, d in FILES.items() if n.startswith("val")}, "has no train split"),
    "class only in val": ({**FILES, "val/bird/0.jpg": jpeg(0)}, r"only in val \['bird'\]"),
    "class only in train": ({**FILES, "train/bird/0.jpg": jpeg(0)}, r"only in train \['bird'\]"),
    "loose image": ({**FILES, "train/loose.jpg": jpeg(0)}, "outside class folders, such as train/loose.jpg"),
    "csv columns": ({"labels.csv": b"a,b\n1,2\n"}, "must have the columns file,class,split"),
    "csv file": ({"labels.csv": b"file,class,split\nx.jpg,a,train\n"}, r"the first is x.jpg \(line 2\)"),
    "csv split": (
        {"labels.csv": b"file,class,split\nx.jpg,a,train\n", "x.jpg": jpeg(0)},
        r"must have the splits train and val, found \['train'\]",
    ),
}


@pytest.mark.parametrize("write", [write_folder, write_zip])
@pytest.mark.parametrize(("files", "message"), BAD.values(), ids=BAD)
def test_unusable_data_is_refused(
    tmp_path: Path, write: Write, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_splits(write(tmp_path, files))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0.jpg", "line 1 of .* is not 'path label'"),
        ("0.jpg x", "is not 'path label': '0.jpg x'"),
        ("0.jpg 0\nmissing.jpg 1", "1 images of val.txt are not under .* the first is missing.jpg"),
        ("0.jpg 7", r"val.txt of .* has labels that train.txt lacks, such as \[7\]"),
        ("", "lists no images"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    root = write_folder(tmp_path, {"train/0.jpg": jpeg(0), "train/1.jpg": jpeg(1), "val/0.jpg": jpeg(2)})
    (root / "meta_data").mkdir()
    (root / "meta_data" / "train.txt").write_text("0.jpg 0\n1.jpg 1\n")
    with pytest.raises(ValueError, match=r"has no meta_data/val.txt"):
        read_splits(root)
    (root / "meta_data" / "val.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        read_splits(root)


def test_wrong_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        read_splits(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(ValueError, match="not a readable zip"):
        read_splits(tmp_path / "a.zip")
    (tmp_path / "a.7z").write_bytes(b"")
    with pytest.raises(ValueError, match=r"not a folder, a \.zip or \.tar shards"):
        read_splits(tmp_path / "a.7z")
    (tmp_path / "a.tar").write_bytes(b"no tar at all")
    with pytest.raises(ValueError, match="not a readable uncompressed tar"):
        read_splits(tmp_path / "a.tar")


def test_labels_must_index_classes() -> None:
    with pytest.raises(ValueError, match=r"label 2 of b is out of range: there are 2 classes"):
        LabelledImages(("a", "b"), (0, 2), ("x", "y"), MemoryStore({}))
    with pytest.raises(ValueError, match="no class has two images"):
        split_by_seed(LabelledImages(("a",), (0,), ("x",), MemoryStore({})), 0.1, 0)


def test_bad_images_are_listed_or_left_out() -> None:
    files = {"a": jpeg(0), "b": jpeg(1)[:300], "c": b"", "d": b"text", "e": jpeg(2)}
    images = LabelledImages(tuple(files), (0, 1, 0, 1, 1), ("x", "y"), MemoryStore(files))
    with pytest.raises(
        ValueError, match=r"3 of 5 images cannot be read.*--skip-bad(?s:.*)  b: (?s:.*)  c: (?s:.*)  d: "
    ):
        without_bad_images(images, skip_bad=False)
    good, bad = without_bad_images(images, skip_bad=True)
    assert good.names == ("a", "e")
    assert good.labels == (0, 1)
    assert [image.name for image in bad] == ["b", "c", "d"]
    with pytest.raises(ValueError, match="none of the 1 images can be read"):
        without_bad_images(images.select([2]), skip_bad=True)


def test_decoded_images_are_those_of_the_files() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.open(io.BytesIO(jpeg(0, (64, 48)))).save(buffer, "JPEG", exif=exif)
    grey = io.BytesIO()
    Image.new("L", (20, 10), 7).save(grey, "PNG")
    files = {"turned": buffer.getvalue(), "grey": grey.getvalue()}
    images = LabelledImages(tuple(files), (0, 0), ("x",), MemoryStore(files))
    assert decode(images, 0).size == (48, 64)
    assert decode(images, 1).getpixel((0, 0)) == (7, 7, 7)
    held = decoded_in_memory(images)
    for index in range(2):
        assert decode(held, index).tobytes() == decode(images, index).tobytes()
    assert decode(images, 0, minimum_side=20).size == (24, 32)
