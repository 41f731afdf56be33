# SPDX-License-Identifier: MIT
"""Where drawn pictures go: never over the pictures themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.small_model import save_small_model

from intern25.cli.main import main
from intern25.cli.pictures import prepare_output


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a.mp4"])
def test_a_result_never_replaces_its_source(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.touch()
    with pytest.raises(ValueError, match=r"would be replaced .*; choose another folder"):
        prepare_output(tmp_path / "sub" / "..", [str(source)])
    prepare_output(tmp_path / "drawn", [str(source)])
    assert (tmp_path / "drawn").is_dir()
    prepare_output(tmp_path, [str(tmp_path / "a.jpg")])  # it becomes a.png
    prepare_output(None, [str(source)])


def test_classify_refuses_the_folder_of_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 40), (10, 200, 30)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    weights = tmp_path / "w.safetensors"
    save_small_model(weights)
    words = ["classify", str(tmp_path / "a.png"), "--model", str(weights), "--output", str(tmp_path)]
    assert main(words) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == before
