# SPDX-License-Identifier: MIT
"""Every row of docs/bad-input.md: the message, the status, and no traceback."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.test_images import png_of_size
from tests.search.albums import save_video
from tests.search.color_embedder import ColorEmbedder, HalvesEmbedder
from tests.small_detector import save_dino, save_mask2former, save_mask_rcnn, save_upernet
from tests.small_generalist import save_small_generalist, small_generalist
from tests.small_model import SMALL, save_small_model
from tests.used_generalist import save_used_generalist

from intern25.backbones.internimage import InternImage
from intern25.cli.main import main
from intern25.generalist.files import save_generalist
from intern25.search import opening
from intern25.search.index import SearchIndex
from intern25.search.lock import IndexLock
from intern25.weights.files import save_model
from intern25.weights.generalists import GeneralistCard

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"


@dataclass(frozen=True)
class Place:
    """Where a case makes its files, with a good model and a good picture."""

    folder: Path
    weights: Path
    picture: Path
    patch: pytest.MonkeyPatch

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def classify(self, *words: str) -> list[str]:
        return ["classify", "--model", str(self.weights), *words]


def noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def jpeg() -> bytes:
    stream = io.BytesIO()
    noise().save(stream, "JPEG")
    return stream.getvalue()


def heic(place: Place) -> list[str]:
    return place.classify(place.file("a.heic", b"\x00\x00\x00\x18ftypheic" + bytes(64)))


def empty_folder(place: Place) -> list[str]:
    (place.folder / "empty").mkdir()
    return place.classify(str(place.folder / "empty"))


def backbone(place: Place) -> list[str]:
    path = place.folder / "backbone.safetensors"
    save_model(path, InternImage(SMALL))
    return ["classify", "--model", str(path), str(place.picture)]


class _Payload:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (Path.touch, (Path("should-not-exist"),))  # type: ignore[return-value]


def pickle(place: Place) -> list[str]:
    torch.save({"model": {"a": torch.zeros(1)}, "config": _Payload()}, place.folder / "evil.pth")
    return ["classify", "--model", str(place.folder / "evil.pth"), str(place.picture)]


def folder_of_classes(place: Place, *names: str) -> str:
    for name in names:
        target = place.folder / "data" / name
        target.mkdir(parents=True)
        for number in range(4):
            noise(16 + number).save(target / f"{number}.png")
    return str(place.folder / "data")


def train(place: Place, *words: str) -> list[str]:
    """A run on eight small pictures."""
    data = place.folder / "data"
    folder = str(data) if data.exists() else folder_of_classes(place, "a", "b")
    small = ["--image-size", "32", "--batch-size", "2", "--epochs", "3", "--workers", "0", "--device", "cpu"]
    run = ["--output", str(place.folder / "run"), "--log-every", "1", "--no-tensorboard"]
    return ["train", "classify", "--data", folder, *small, *run, *words]


def damaged_data(place: Place) -> list[str]:
    words = train(place)
    place.file("data/a/5.jpg", jpeg()[:-200])
    return words


def cut_checkpoint(place: Place) -> list[str]:
    words = train(place)
    (place.folder / "run").mkdir()
    place.file("run/last.ckpt", b"PK")
    return words


def other_run(place: Place) -> list[str]:
    assert main(train(place, "--max-seconds", "0.001")) == 0
    return train(place, "--epochs", "4")


def annotated(place: Place, category: int) -> str:
    """Two pictures in COCO form, the box of the first of the given class."""
    root = place.folder / "boxes"
    root.mkdir()
    rows: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
    rows["categories"] = [{"id": 1, "name": "cell"}]
    for number in (1, 2):
        noise(64).save(root / f"{number}.png")
        rows["images"].append({"id": number, "file_name": f"{number}.png", "height": 64, "width": 64})
        label = category if number == 1 else 1
        box = {"bbox": [8, 8, 20, 20], "area": 400, "iscrowd": 0}
        rows["annotations"].append({"id": number, "image_id": number, "category_id": label, **box})
    (root / "instances_train.json").write_text(json.dumps(rows))
    return str(root)


def train_detector(place: Place, *words: str) -> list[str]:
    run = ["--output", str(place.folder / "run"), "--no-tensorboard", "--device", "cpu", "--workers", "0"]
    return ["train", "detect", "--recipe", "small", *run, *words]


def wrong_mask(place: Place) -> list[str]:
    root = place.folder / "masks"
    for folder in ("images", "masks"):
        (root / folder / "train").mkdir(parents=True)
    (root / "classes.txt").write_text("wall\nroad\n")
    for number in range(2):
        noise(64).save(root / "images" / "train" / f"{number}.png")
        Image.new("L", (64, 64), 77 * number).save(root / "masks" / "train" / f"{number}.png")
    return ["train", "segment", "--data", str(root), "--output", str(place.folder / "run")]


def convert(place: Place, source: str, destination: str, *words: str) -> list[str]:
    return ["convert", str(place.folder / source), str(place.folder / destination), *words]


def mask_rcnn(place: Place) -> Path:
    """A detector, written once for all cases."""
    path = place.weights.parent / "detector.safetensors"
    return path if path.exists() else save_mask_rcnn(path)


def detect(place: Place, *words: str, source: str | None = None) -> list[str]:
    return ["detect", source or str(place.picture), "--model", str(mask_rcnn(place)), *words]


def segment(place: Place, *words: str, model: str | None = None) -> list[str]:
    """With the classes of Cityscapes, unless another model is given."""
    path = place.weights.parent / "mask2former.safetensors"
    if model is None and not path.exists():
        save_mask2former(path)
    return ["segment", str(place.picture), "--model", model or str(path), *words]


def boxes_only(place: Place) -> list[str]:
    model = str(save_dino(place.folder / "dino.safetensors"))
    words = ["--output", str(place.folder / "out"), "--save", "masks"]
    return ["detect", str(place.picture), "--model", model, *words]


def album(place: Place, *, is_indexed: bool = False) -> Path:
    """A picture that is searched by its colours."""
    place.patch.setattr(opening, "open_embedder", lambda name, device: ColorEmbedder())
    folder = place.folder / "album"
    folder.mkdir()
    noise().save(folder / "good.png")
    if is_indexed:
        SearchIndex.open(folder / ".intern25").update(ColorEmbedder(), folder)
    return folder


def index(place: Place, folder: Path, *words: str) -> list[str]:
    return ["search", "index", str(folder), "--model", "colors", *words]


def empty_album(place: Place) -> list[str]:
    folder = album(place)
    (folder / "good.png").unlink()
    return index(place, folder)


def album_with(place: Place, name: str, content: bytes) -> list[str]:
    folder = album(place)
    (folder / name).write_bytes(content)
    return index(place, folder)


def cut_video(place: Place) -> list[str]:
    whole = save_video(place.folder / "whole.mp4", ["green"]).read_bytes()
    return album_with(place, "cut.mp4", whole[: len(whole) // 2])


def locked_album(place: Place) -> list[str]:
    folder, mkdir = album(place), Path.mkdir

    def refuse(path: Path, *words: object, **options: object) -> None:
        if path.name == ".intern25":
            raise PermissionError(13, "Permission denied", str(path))
        mkdir(path, *words, **options)  # type: ignore[arg-type]

    place.patch.setattr(Path, "mkdir", refuse)
    return index(place, folder)


def full_disk(place: Place) -> list[str]:
    folder = album(place)

    def refuse(table: object, rows: object) -> None:
        # The words of LanceDB on a full disk.
        raise RuntimeError(
            "lance error: LanceError(IO): No space left on device (os error 28), /a/b.rs:258:9"
        )

    place.patch.setattr("lancedb.table.LanceTable.add", refuse)
    return index(place, folder)


def second_indexer(place: Place) -> list[str]:
    folder = album(place, is_indexed=True)
    IndexLock(folder / ".intern25" / "lock").__enter__()
    return index(place, folder)


def damaged_index(place: Place) -> list[str]:
    folder = album(place, is_indexed=True)
    for path in (folder / ".intern25" / "items.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    return ["search", "green", str(folder)]


def other_model(place: Place) -> list[str]:
    folder = album(place, is_indexed=True)
    place.patch.setattr(opening, "open_embedder", lambda name, device: HalvesEmbedder())
    return ["search", "green", str(folder), "--model", "halves"]


def no_boxes(place: Place) -> list[str]:
    folder = album(place, is_indexed=True)
    return ["search", "green", str(folder), "--model", "colors", "--boxes"]


def no_packaged_model(place: Place) -> list[str]:
    place.patch.setattr(GeneralistCard, "available", property(lambda card: False))
    return ["search", "index", str(place.folder)]


def moments(place: Place, *words: str) -> list[str]:
    """Words that look for moments of a text file."""
    return ["search", "moments", "green", place.file("text.mp4", b"hello, I am text"), *words]


def generalist(place: Place, data: Path, *words: str) -> list[str]:
    """Words that train a generalist, without touching anything if they are refused."""
    output = str(place.folder / "should-not-exist")
    return ["train", "generalist", "--data", str(data), "--output", output, "--device", "cpu", *words]


def no_packs(place: Place) -> Path:
    folder = place.folder / "empty"
    folder.mkdir()
    return folder


def other_pack(place: Place) -> Path:
    folder = place.folder / "packs"
    (folder / "something_else").mkdir(parents=True)
    return folder


def cut_generalist(place: Place) -> str:
    path = save_small_generalist(place.folder / "cut.safetensors")
    path.write_bytes(path.read_bytes()[:5000])
    return str(path)


def used_generalist(place: Place) -> Path:
    """Written once for all cases."""
    path = place.weights.parent / "generalist.safetensors"
    return path if path.exists() else save_used_generalist(path)


def odd_generalist(path: Path) -> Path:
    save_generalist(path, small_generalist(), extra={"settings": "{'ask': 3}"})
    return path


def ask(place: Place, *words: str) -> list[str]:
    return ["ask", *words, "--model", str(used_generalist(place))]


def free(place: Place, command: str, *names: str) -> list[str]:
    return [command, str(place.picture), "--model", str(used_generalist(place)), "--classes", *names]


CASES: dict[str, Callable[[Place], list[str]]] = {
    "file that does not exist": lambda p: p.classify(str(p.folder / "nowhere.jpg")),
    "empty file": lambda p: p.classify(p.file("empty.jpg", b"")),
    "JPEG cut short": lambda p: p.classify(p.file("cut.jpg", jpeg()[:-900])),
    "text file named .jpg": lambda p: p.classify(p.file("text.jpg", b"hello, I am text")),
    "HEIC photograph": heic,
    "SVG drawing": lambda p: p.classify(p.file("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
    "header claiming 3.6 gigapixels": lambda p: p.classify(p.file("bomb.png", png_of_size(60_000, 60_000))),
    "web address": lambda p: p.classify("https://example.org/cat.jpg"),
    "one bad picture of two": lambda p: p.classify(str(p.picture), p.file("bad.jpg", b"bad")),
    "empty folder": empty_folder,
    "pattern that matches nothing": lambda p: p.classify(str(p.folder / "*.gif")),
    "list file that does not exist": lambda p: p.classify(str(p.folder / "list.txt")),
    "list file that is no text": lambda p: p.classify(p.file("list.txt", b"\xff\xfe\x00\xd8")),
    "empty list on stdin": lambda p: p.classify("-"),
    "no source at all": lambda p: p.classify(),
    "misspelt model": lambda p: ["classify", "--model", "internimage_nan", str(p.picture)],
    "weight file that does not exist": lambda p: ["classify", "--model", "none.pth", str(p.picture)],
    "picture given as weights": lambda p: ["classify", "--model", str(p.picture), str(p.picture)],
    "weights cut short": lambda p: [
        "classify", "--model", p.file("cut.safetensors", p.weights.read_bytes()[:-100]), str(p.picture)
    ],
    "backbone without a head": backbone,
    "pickle that would run code": pickle,
    "misspelt command": lambda p: ["clasify", str(p.picture)],
    "misspelt task": lambda p: ["eval", "clasify"],
    "device that is not there": lambda p: p.classify("--device", "cuda:9", str(p.picture)),
    "device that is none": lambda p: p.classify("--device", "tpu", str(p.picture)),
    "zero classes asked for": lambda p: p.classify("--top-k", "0", str(p.picture)),
    "zero pictures a batch": lambda p: p.classify("--batch-size", "0", str(p.picture)),
    "output folder that is a file": lambda p: p.classify("--output", str(p.picture), str(p.picture)),
    "font that does not exist": lambda p: p.classify(
        "--output", str(p.folder / "drawn"), "--font", "no/font.ttf", str(p.picture)
    ),
    "image size without a model": lambda p: ["info", "--image-size", "224"],
    "classifier given to detect": lambda p: ["detect", "--model", str(p.weights), str(p.picture)],
    "detector given to segment": lambda p: ["segment", "--model", str(mask_rcnn(p)), str(p.picture)],
    "class that the model does not have": lambda p: detect(p, "--classes", "persn"),
    "Chinese class that the model does not have": lambda p: detect(p, "--classes", "恐龙"),
    "threshold above one": lambda p: detect(p, "--threshold", "2"),
    "no objects asked for": lambda p: detect(p, "--max-detections", "0"),
    "tiles of a few pixels": lambda p: detect(p, "--tile", "8"),
    "files to save without a folder": lambda p: detect(p, "--save", "coco"),
    "masks of a detector without masks": boxes_only,
    "weights with NaN": lambda p: [
        "detect", "--model", str(save_mask_rcnn(p.folder / "nan.safetensors", damaged=True)), str(p.picture)
    ],
    "text file named .mp4": lambda p: detect(p, source=p.file("text.mp4", b"hello, I am text")),
    "video that does not exist": lambda p: detect(p, source=str(p.folder / "none.mp4")),
    "one bad video beside a picture": lambda p: [
        "detect", str(p.picture), p.file("text.mp4", b"hello"), "--model", str(mask_rcnn(p))
    ],
    "masks of a video": lambda p: detect(
        p, "--save", "masks", "--output", str(p.folder / "out"), source=str(p.folder / "none.mp4")
    ),
    "no frames asked for": lambda p: detect(p, "--frame-step", "0"),
    "scale of zero": lambda p: segment(p, "--scales", "0"),
    "scale that no memory holds": lambda p: segment(p, "--scales", "50"),
    "drawings into the folder of the pictures": lambda p: detect(p, "--output", str(p.picture.parent)),
    "mirrored views of panoptic segments": lambda p: segment(p, "--task", "panoptic", "--flip"),
    "tiles of panoptic segments": lambda p: segment(p, "--task", "panoptic", "--tile", "800"),
    "no instances asked for": lambda p: segment(p, "--task", "instance", "--max-instances", "0"),
    "instances of a segmenter without queries": lambda p: segment(
        p, "--task", "instance", model=str(save_upernet(p.folder / "upernet.safetensors"))
    ),
    "panoptic segments where nobody knows the things": lambda p: segment(
        p, "--task", "panoptic", model=str(save_mask2former(p.folder / "nyu.safetensors", "nyu40"))
    ),
    "thing that the model does not have": lambda p: segment(p, "--task", "panoptic", "--things", "cra"),
    "instances of stuff": lambda p: segment(p, "--task", "instance", "--classes", "sky"),
    "empty question": lambda p: ask(p, " ", str(p.picture)),
    "question without a picture": lambda p: ask(p, "what?"),
    "question that the model cannot read whole": lambda p: ask(p, "车" * 200, str(p.picture)),
    "one answer to choose from": lambda p: ask(p, "what?", str(p.picture), "--answers", "yes"),
    "answer given twice": lambda p: ask(p, "what?", str(p.picture), "--answers", "yes", "yes"),
    "no hypotheses": lambda p: ["caption", str(p.picture), "--beams", "0"],
    "one unreadable picture of two to describe": lambda p: [
        "caption", str(p.picture), p.file("bad.jpg", b"bad"), "--model", str(used_generalist(p))
    ],
    "unreadable picture to read": lambda p: [
        "read", p.file("cut.jpg", jpeg()[:-900]), "--model", str(used_generalist(p))
    ],
    "classifier asked a question": lambda p: ["ask", "what?", str(p.picture), "--model", str(p.weights)],
    "classes for a classifier": lambda p: p.classify(str(p.picture), "--classes", "cat", "dog"),
    "one class to classify with": lambda p: free(p, "classify", "cat"),
    "empty name of a class": lambda p: free(p, "detect", "cat", ""),
    "class named twice": lambda p: free(p, "detect", "cat", "cat"),
    "one class for all pixels": lambda p: free(p, "segment", "cat"),
    "weights of a generalist with NaN": lambda p: [
        "caption", str(p.picture), "--model",
        str(save_used_generalist(p.folder / "nan.safetensors", damaged=True)),
    ],
    "generalist whose file has other settings": lambda p: [
        "read", str(p.picture), "--model", str(odd_generalist(p.folder / "odd.safetensors"))
    ],
    "generalist without weights": lambda p: ["read", str(p.picture), "--model", "intern25_small"],
    "flops of a generalist": lambda p: ["info", "intern25_tiny", "--flops"],
    "empty query": lambda p: ["search", " ", str(p.folder)],
    "no matches asked for": lambda p: ["search", "green", str(p.folder), "--top", "0"],
    "page of thumbnails of another format": lambda p: ["search", "green", str(p.folder), "--sheet", "a.gif"],
    "search in an album that does not exist": lambda p: ["search", "green", str(p.folder / "none")],
    "index of an album that is a file": lambda p: index(p, p.picture),
    "album without an index": lambda p: ["search", "green", str(p.folder)],
    "first index without a model": no_packaged_model,
    "index by a classifier": lambda p: ["search", "index", str(p.folder), "--model", str(p.weights)],
    "empty album": empty_album,
    "damaged picture in an album": lambda p: album_with(p, "cut.jpg", jpeg()[:-900]),
    "truncated video in an album": cut_video,
    "album that cannot be written into": locked_album,
    "full disk while indexing": full_disk,
    "second indexer of an album": second_indexer,
    "index damaged": damaged_index,
    "index of another model": other_model,
    "boxes of a model without regions": no_boxes,
    "moments of a video every zero seconds": lambda p: index(p, p.folder, "--every", "0"),
    "moments of a file that is no video": moments,
    "moments in a video that does not exist": lambda p: [
        "search", "moments", "green", str(p.folder / "none.mp4")
    ],
    "moments above more than the best": lambda p: moments(p, "--threshold", "2"),
    "moments apart by less than nothing": lambda p: moments(p, "--gap", "-1"),
    "training without data": lambda p: ["train", "classify"],
    "damaged picture in the training data": damaged_data,
    "training a detector without data": lambda p: ["train", "detect"],
    "box of an unknown class in the training data": lambda p: train_detector(p, "--data", annotated(p, 77)),
    "folder without annotations given to train detect": lambda p: train_detector(
        p, "--data", folder_of_classes(p, "a", "b")
    ),
    "segmenter given to train detect": lambda p: train_detector(
        p, "--data", annotated(p, 1), "--model", "upernet_internimage_nano"
    ),
    "mask with the value of no class": wrong_mask,
    "format that is none": lambda p: ["eval", "segment", "--data", str(p.folder), "--format", "png"],
    "teacher without views": lambda p: train(p, "--teacher", "efficientnet_lite0"),
    "loss that becomes infinite": lambda p: train(p, "--base-lr", "1e30", "--warmup-epochs", "0"),
    "checkpoint cut short": cut_checkpoint,
    "output folder of another run": other_run,
    "training a generalist without data": lambda p: ["train", "generalist"],
    "folder without data packs": lambda p: generalist(p, no_packs(p)),
    "data packs that are a file": lambda p: generalist(p, p.picture),
    "task of a generalist that is none": lambda p: generalist(p, p.folder, "--tasks", "speak"),
    "task of a generalist without its data": lambda p: generalist(
        p, other_pack(p), "--tasks", "vqa_shapes"
    ),
    "generalist of an unknown size": lambda p: generalist(
        p, other_pack(p), "--tasks", "read_rendered", "--scenes", "4", "--model", "intern25_micro"
    ),
    "classifier where a generalist is needed": lambda p: [
        "eval", "generalist", "--data", str(p.folder), "--model", str(p.weights)
    ],
    "generalist cut short": lambda p: [
        "eval", "generalist", "--data", str(p.folder), "--model", cut_generalist(p)
    ],
    "data path that does not exist": lambda p: [
        "eval", "classify", "--model", str(p.weights), "--data", str(p.folder / "none")
    ],
    "data folder without pictures": lambda p: [
        "eval", "classify", "--model", str(p.weights), "--data", str(p.weights.parent)
    ],
    "data with another number of classes": lambda p: [
        "eval", "classify", "--model", str(p.weights), "--data", folder_of_classes(p, "a", "b")
    ],
    "conversion to a wrong ending": lambda p: convert(p, "a.pth", "b.zip"),
    "conversion of a missing file": lambda p: convert(p, "a.pth", "b.safetensors"),
    "conversion onto an existing folder": lambda p: convert(p, "a.pth", ".", "--layout", "hugging_face"),
    "benchmark of a shape that is none": lambda p: ["bench", "op", "--shapes", "q"],
    "benchmark of a model that is none": lambda p: ["bench", "model", "--models", "vgg"],
    "benchmark of a detector that is none": lambda p: ["bench", "detector", "--models", "yolo"],
    "benchmark of too small pictures": lambda p: ["bench", "detector", "--image-sizes", "32", "32"],
    "no rounds of a benchmark": lambda p: ["bench", "op", "--rounds", "0"],
    "benchmark results into a missing folder": lambda p: ["bench", "op", "--output", str(p.folder / "a/b")],
}  # fmt: skip


def rows() -> dict[str, tuple[str, int]]:
    """Input to message and status, from the document's tables."""
    found = re.findall(
        r"^\| ([^|]+) \| `([^|]+)` \| (\d+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (message, int(status)) for name, message, status in found}


def test_the_document_and_the_cases_are_the_same_list() -> None:
    assert list(rows()) == list(CASES)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.mark.parametrize("name", CASES)
def test_row(
    name: str,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    picture = tmp_path / "good.png"
    noise().save(picture)
    message, status = rows()[name]
    words = CASES[name](Place(tmp_path, weights, picture, monkeypatch))
    assert main(words) == status
    stderr = capsys.readouterr().err
    errors = [line for line in stderr.splitlines() if line.startswith("intern25: error: ")]
    assert len(errors) == 1, stderr
    assert message in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "should-not-exist").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--base-lr", "-1"], "base_lr=-1.0 must be at least 0"),
        (["--optimizer", "muon", "--parallel", "fsdp"], "needs whole matrices"),
        (["--epochs", "many"], "many"),
        (["--epoch", "3"], "--epochs"),
    ],
)
def test_a_wrong_setting_is_answered_with_a_box(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "classify", "--data", "x", *words])
    assert stop.value.code == 2
    text = " ".join(line.strip("│ ") for line in capsys.readouterr().err.splitlines())
    assert message in text
    assert "Traceback" not in text
