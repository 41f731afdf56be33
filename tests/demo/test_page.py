# SPDX-License-Identifier: MIT
"""The page end to end: a small generalist behind it, Chromium or plain requests in front of it."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from intern25.demo.inputs import sample_street
from intern25.demo.texts import EN, ZH
from intern25.predictors import GeneralistPredictor
from tests.demo.browser import CHROMIUM, DRIVER, Browser
from tests.demo.test_command import free_port
from tests.search.albums import save_color
from tests.search.color_embedder import HalvesEmbedder
from tests.used_generalist import used_generalist

gradio = pytest.importorskip("gradio")


@dataclass
class Site:
    """The served page and what stands behind it."""

    url: str
    predictor: GeneralistPredictor
    folder: Path
    contacted: set[str]
    """Hosts that this process looked up or connected to."""

    @property
    def picture(self) -> str:
        return str(self.folder / "street.png")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("lancedb")
    from intern25.demo.album import open_album
    from intern25.demo.page import build_page
    from intern25.demo.serving import start
    from intern25.search import opening

    folder, predictor = tmp_path_factory.mktemp("site"), used_generalist()
    sample_street(1).save(folder / "street.png")
    for color in ("红", "green"):
        save_color(folder / "album" / f"{color}.png", color, (80, 60))
    with pytest.MonkeyPatch.context() as patch:
        contacted = _watch_the_network(patch)
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        patch.setattr(opening, "open_embedder", lambda name, device: HalvesEmbedder())
        album = open_album(folder / "album", "halves")
        page = build_page(predictor, name="models/small.safetensors", album=album)
        yield Site(start(page, host="127.0.0.1", port=free_port()), predictor, folder, contacted)
        page.close(verbose=False)


def _watch_the_network(patch: pytest.MonkeyPatch) -> set[str]:
    """Hosts, as they are looked up or connected to from now on."""
    contacted: set[str] = set()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def watched_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            contacted.add(str(address[0]))
        connect(self, address)

    def watched_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        contacted.add(host.decode() if isinstance(host, bytes) else str(host))
        return look_up(host, *arguments, **options)

    patch.setattr(socket.socket, "connect", watched_connect)
    patch.setattr(socket, "getaddrinfo", watched_look_up)
    return contacted


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    pytest.importorskip("selenium")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium chromium-driver)")
    browser = Browser(tmp_path / "profile", language="zh-CN")
    yield browser
    browser.quit()


def test_people_use_it(site: Site, browser: Browser) -> None:
    browser.driver.get(site.url)
    # It opens in the language of the browser.
    browser.until(lambda: browser.find("#ask").text == ZH.ask, "not in Chinese")
    browser.click("#ask")
    browser.until(lambda: ZH.no_picture in _notes(browser), "no note")
    browser.click(".toast-close")
    browser.find("#picture input[type=file]").send_keys(site.picture)
    browser.find("#picture img")
    _ask(site, browser, "此刻可以直行吗？")
    browser.click("#language label:nth-of-type(2)")
    browser.until(lambda: browser.find("#ask").text == EN.ask, "not in English")
    _find_objects(site, browser)
    _read_a_part(site, browser)
    browser.tab(EN.album_tab)
    browser.type("#query input, #query textarea", "红")
    browser.click("#search")
    browser.until(lambda: "1.000 · 红.png" in browser.find("#hits").text, "no hits")
    assert browser.hosts() == {site.url.split("/")[2]}
    assert site.contacted <= {"127.0.0.1", "localhost"}
    browser.driver.execute_script("fetch('http://elsewhere.invalid/').catch(() => null)")
    browser.until(lambda: "elsewhere.invalid" in browser.hosts(), "requests to others would not be seen")


def _notes(browser: Browser) -> str:
    return " ".join(note.text for note in browser.driver.find_elements("css selector", ".toast-body"))


def _ask(site: Site, browser: Browser, question: str) -> None:
    browser.type("#question input, #question textarea", question)
    browser.click("#ask")
    expected = site.predictor.ask(site.picture, question)
    assert expected.text, "the small model says something"
    browser.until(
        lambda: browser.find("#answer textarea").get_attribute("value").strip() == expected.text.strip(),
        f"the answer is not {expected.text!r}",
    )
    assert browser.find("#certainty").text == ZH.certainty.format(score=f"{expected.score:.0%}")


def _find_objects(site: Site, browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.tab(EN.find_tab)
    browser.type("#names input, #names textarea", "人，red van")
    number = browser.find("#threshold input[type=number]")
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("0", Keys.TAB)
    browser.click("#find")
    expected = site.predictor.detect(site.picture, ["人", "red van"], threshold=0.0)
    found = EN.found.format(count=len(expected))
    browser.until(lambda: browser.find("#summary").text == found, f"not {found}")
    source = browser.until(lambda: browser.find("#drawing img").get_attribute("src"), "no drawing")
    shown, drawn = _downloaded(source), np.asarray(expected.draw(), int)
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 12, "the same but for the compression"
    browser.until(lambda: "red van" in browser.find("#table").get_attribute("textContent"), "no table")


def _downloaded(source: str) -> NDArray[np.int_]:
    with urllib.request.urlopen(source) as answer, Image.open(answer) as picture:
        return np.asarray(picture.convert("RGB"), int)


def _read_a_part(site: Site, browser: Browser) -> None:
    from selenium.webdriver import ActionChains

    browser.tab(EN.read_tab)
    for offset in (-60, 60):
        image = browser.find("#part img")
        before, scale = (
            image.get_attribute("src"),
            int(image.get_attribute("naturalWidth")) / image.rect["width"],
        )
        ActionChains(browser.driver).move_to_element_with_offset(image, offset, offset).click().perform()
        browser.until(lambda old=before: browser.find("#part img").get_attribute("src") != old, "no mark")
    marked = _downloaded(browser.find("#part img").get_attribute("src"))
    picture = np.asarray(Image.open(site.picture), int)
    # Rows and columns that hold a side of the frame, not what the compression changed here and there.
    changed = np.abs(marked - picture).max(axis=-1) > 60
    for lines, middle in (
        (changed.sum(axis=0), picture.shape[1] / 2),
        (changed.sum(axis=1), picture.shape[0] / 2),
    ):
        sides = np.flatnonzero(lines > 60 * scale)
        expected = [middle - 60 * scale, middle + 60 * scale]
        assert [float(sides.min()), float(sides.max())] == pytest.approx(expected, abs=4)
    browser.click("#read")
    browser.until(
        lambda: browser.find("#line input, #line textarea").get_attribute("value"), "nothing was read"
    )


def test_a_bad_picture_is_explained(site: Site, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "<b>bad.jpg").write_bytes(b"bad")
    browser.driver.get(site.url)
    browser.find("#ask")
    browser.find("#picture input[type=file]").send_keys(str(tmp_path / "<b>bad.jpg"))
    browser.until(lambda: "is not a picture of a known format" in _notes(browser), "no note")
    assert str(tmp_path) not in _notes(browser)
    assert "Traceback" not in browser.driver.page_source


def send(site: Site, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
    request = urllib.request.Request(site.url.rstrip("/") + path, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            return error.code, error.read().decode()


def described(site: Site, path: str) -> dict[str, Any]:
    """The last event that the server sends when the picture at ``path`` is to be described."""
    config = json.loads(send(site, "/config")[1])
    button = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "describe-en")
    event = next(d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"])
    session = uuid.uuid4().hex
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = {"data": [picture, "en"], "fn_index": event, "session_hash": session, "trigger_id": button}
    assert send(site, "/gradio_api/queue/join", json.dumps(body).encode())[0] == 200
    _, events = send(site, f"/gradio_api/queue/data?session_hash={session}")
    listed = [json.loads(line[len("data: ") :]) for line in events.splitlines() if line.startswith("data: ")]
    (last,) = (event for event in listed if event["msg"] == "process_completed")
    return dict(last)


def uploaded(site: Site, data: bytes) -> tuple[int, str]:
    head = 'Content-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png'
    body = b"--edge\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n--edge--\r\n"
    return send(site, "/gradio_api/upload", body, "multipart/form-data; boundary=edge")


def test_an_upload_is_described_and_nothing_else_is(site: Site) -> None:
    """The same request succeeds for an upload and fails for other files of the machine and for the web."""
    status, answer = uploaded(site, Path(site.picture).read_bytes())
    assert status == 200
    done = described(site, json.loads(answer)[0])
    assert done["success"]
    assert done["output"]["data"][0] == site.predictor.caption(site.picture).text
    for path in (site.picture, str(site.folder / "album" / "红.png"), "http://example.org/a.png"):
        assert not described(site, path)["success"], path
    assert not any("example" in host for host in site.contacted)


def test_files_of_the_machine_are_not_served(site: Site) -> None:
    for path in (site.picture, __file__, str(site.folder / "album" / "green.png")):
        assert send(site, f"/gradio_api/file={path}")[0] in (403, 404)


def test_large_uploads_are_refused(site: Site) -> None:
    assert uploaded(site, b"0" * 21_000_000)[0] == 413


def test_the_page_names_no_other_host(site: Site) -> None:
    config = json.loads(send(site, "/config")[1])
    assert config["analytics_enabled"] is False
    assert not config.get("stylesheets")
    assert "small.safetensors · 0." in json.dumps(config, ensure_ascii=False)
    assert str(site.folder) not in json.dumps(config, ensure_ascii=False)


def test_the_class_of_the_upload_leaves_no_file_in_the_package(site: Site) -> None:
    from intern25.demo import picture_input

    assert not list(Path(picture_input.__file__).parent.glob("*.pyi"))
