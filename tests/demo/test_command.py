# SPDX-License-Identifier: MIT
"""``intern25 demo`` from its words to its exit status; the page itself is in ``test_page.py``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from intern25.cli.main import main
from intern25.demo.texts import ZH
from tests.small_model import save_small_model
from tests.used_generalist import save_used_generalist


def error_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that fails."""
    assert main(["demo", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("intern25: error: ")
    return line


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'intern25[demo]'" in error_of([], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "0"], "--port 0 must be from 1 to 65535"),
        (["--port", "70000"], "--port 70000 must be from 1 to 65535"),
        (["--host", "192.0.2.1"], "nothing can be served on --host 192.0.2.1"),
        (["--model", "no_such_model"], "no_such_model"),
    ],
)
def test_bad_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    assert message in error_of(["--port", str(free_port()), *words], capsys)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"--port {port} (Address already in use); choose another port" in error_of(
            ["--port", str(port)], capsys
        )


def test_other_models_and_albums_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gradio")
    base = ["--port", str(free_port()), "--model"]
    classifier, generalist = (
        save_small_model(tmp_path / "c.safetensors"),
        save_used_generalist(tmp_path / "g.safetensors"),
    )
    assert "is a classifier, not a generalist" in error_of([*base, str(classifier)], capsys)
    words = [*base, str(generalist), "--album", str(tmp_path / "none")]
    assert "does not exist" in error_of(words, capsys)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process")
def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    model, port = save_used_generalist(tmp_path / "g.safetensors"), free_port()
    words = ["demo", "--model", str(model), "--port", str(port), "--language", "zh", "--device", "cpu"]
    # A proxy of the environment must not stand between the page and this machine.
    environment = {
        **os.environ,
        "HTTP_PROXY": "http://127.0.0.1:9",
        "GRADIO_TEMP_DIR": str(tmp_path / "uploads"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "intern25", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"intern25 demo: http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=30) as answer:
            assert ZH.sample in json.dumps(json.load(answer), ensure_ascii=False)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_help_loads_neither_torch_nor_gradio() -> None:
    code = (
        "import sys\nfrom intern25.cli.main import main\n"
        "try: main(['demo', '--help'])\nexcept SystemExit as end: assert not end.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    text, _, modules = done.stdout.partition("MODULES ")
    assert "usage: intern25 demo" in text
    assert not {"torch", "gradio", "numpy"} & set(modules.split())
