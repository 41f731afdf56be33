# SPDX-License-Identifier: MIT
"""Files that are no weights: one clear error each, and never a line of their code run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from intern25.weights.checkpoint import read_checkpoint
from tests.weights.samples import classifier, tensors_of

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 120000000\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "web page"),
        (b"\n  <html><body>login</body></html>", "web page"),
        (LFS_POINTER, "git-lfs"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "no weight file"),
        (b"just text", "no weight file"),
        (b"\x80\x02not a pickle", "damaged|without running"),
        (b"\x80", "damaged|without running"),
        (b"PK\x03\x04" + bytes(200), "cut off"),
        ((40).to_bytes(8, "little") + b"{" + bytes(60), "damaged safetensors"),
    ],
    ids=["empty", "html", "html_spaces", "lfs", "jpeg", "text", "pickle", "one_byte", "zip_head", "header"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_content_that_is_no_weights(tmp_path: Path, content: bytes, words: str, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / "w"
    tensors = {"a": torch.randn(100, 100), "patch_embed.conv1.weight": torch.randn(10)}
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match="again"):
        read_checkpoint(path)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        read_checkpoint(tmp_path / "nothing.pth")


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has nothing"):
        read_checkpoint(tmp_path)
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"model\.safetensors.*readme\.txt"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["not json", "[1, 2]", '{"a": 1}', '{"weight_map": {}}'])
def test_bad_index(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.index.json").write_text(text)
    with pytest.raises(ValueError, match=r"JSON|weight_map"):
        read_checkpoint(tmp_path / "m.index.json")


def test_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("picture.jpg", b"123")
    with pytest.raises(ValueError, match="zip archive but no PyTorch file"):
        read_checkpoint(tmp_path / "a.zip")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(ValueError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "list"),
        (torch.zeros(3), "Tensor"),
        ({"epoch": 3}, "epoch"),
        ({}, "none"),
        ({"model": {"a": 1}}, "no tensors"),
    ],
)
def test_files_without_a_state_dict(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=words):
        read_checkpoint(tmp_path / "w.pth")


class Attack:
    """Runs a command when unpickled by the ordinary unpickler."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


def attacks(mark: Path) -> dict[str, Attack]:
    touch = f"touch {mark}"
    return {
        "os.system": Attack(os.system, touch),
        "subprocess": Attack(subprocess.Popen, ["touch", str(mark)]),
        "eval": Attack(eval, f"open({str(mark)!r}, 'w').close()"),
        "exec": Attack(exec, f"open({str(mark)!r}, 'w').close()"),
        "open": Attack(open, str(mark), "w"),
        "torch.load": Attack(torch.hub.load_state_dict_from_url, "file:///nowhere"),
        "path": Attack(Path.touch, mark),
    }


@pytest.mark.parametrize("name", sorted(attacks(Path())))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_code_in_a_file_never_runs(tmp_path: Path, name: str, zipped: bool, place: str) -> None:
    mark = tmp_path / "ran"
    tensors: dict[str, Any] = dict(tensors_of(classifier()))
    attack = attacks(mark)[name]
    content = (
        {"model": tensors, "config": attack} if place == "beside" else {"model": tensors | {"x": attack}}
    )
    path = tmp_path / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused = None
    try:
        names = read_checkpoint(path).tensors.keys()
    except ValueError as error:
        refused, names = error, tensors_of(classifier()).keys()
    assert not mark.exists()
    # Calls that are no system call become a stand-in and the weights are good; all else is refused by name.
    assert refused is None or str(path) in str(refused)
    assert names == tensors_of(classifier()).keys()


def test_the_attack_is_real(tmp_path: Path) -> None:
    """Python's own unpickler does run it, so the test above can fail."""
    data = pickle.dumps(attacks(tmp_path / "ran")["os.system"])
    pickle.loads(data)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["os.system", "subprocess", "eval"])
def test_system_calls_are_named(tmp_path: Path, name: str) -> None:
    torch.save({"model": tensors_of(classifier()), "x": attacks(tmp_path / "ran")[name]}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="nothing of it was run"):
        read_checkpoint(tmp_path / "w.pth")


def foreign_class(monkeypatch: pytest.MonkeyPatch, module: str, name: str, bases: tuple[type, ...]) -> type:
    """A class as another program would have it; it is gone again when the file is read."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    made = type(name, bases, {"__module__": module})
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


def settings_objects(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What official training files carry beside the weights."""
    node = foreign_class(monkeypatch, "yacs.config", "CfgNode", (dict,))
    config: Any = node(MODEL=node(TYPE="intern_image", LAYERS=[1, 2]), LR=5e-4)
    config.__dict__["__immutable__"] = True
    scaler = foreign_class(monkeypatch, "deepspeed.runtime.fp16.loss_scaler", "LossScaler", ())()
    scaler.cur_scale = 1.0
    settings = foreign_class(monkeypatch, "mmcv.utils.config", "ConfigDict", (dict,))(a=1)
    slotted = foreign_class(monkeypatch, "some.program", "State", (list,))([1, 2])
    return {
        "config": config,
        "loss_scaler": scaler,
        "mmcv": settings,
        "state": slotted,
        "max_accuracy": np.float64(83.5),
        "step": np.int64(3),
    }


@pytest.mark.parametrize("key", ["config", "loss_scaler", "mmcv", "state", "max_accuracy", "step", "all"])
def test_foreign_objects_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    tensors = tensors_of(classifier())
    with monkeypatch.context() as patch:
        found = settings_objects(patch)
        extra = found if key == "all" else {key: found[key]}
        torch.save({"model": tensors, "optimizer": {"state": {}}, **extra}, tmp_path / "w.pth")
    assert "yacs" not in sys.modules
    read = read_checkpoint(tmp_path / "w.pth").tensors
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_yacs_in_the_old_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = tensors_of(classifier())
    with monkeypatch.context() as patch:
        config = settings_objects(patch)["config"]
        torch.save({"model": tensors, "config": config}, tmp_path / "w", _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / "w").tensors.keys() == tensors.keys()
