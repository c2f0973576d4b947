"""Chromium against a node that is really served, as an officer's browser would see it."""

import datetime as dt
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from directory.database import make_engine
from tests.ports import free_port
from tests.web.building import PASSWORD, build_node

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Served:
    """A node that is served by its own process."""

    address: str
    engine: sa.Engine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the node answers; fail where its process ended."""
    while True:
        assert process.poll() is None, "the server ended before it answered"
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node on loopback, served as ``veza serve`` does."""
    port, data = free_port(), tmp_path_factory.mktemp("served") / "ME"
    build_node(data, {"url": f"http://127.0.0.1:{port}"}, dt.datetime.now(dt.UTC))
    command = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "wsgi:app"]
    process = subprocess.Popen([sys.executable, *command], env=os.environ | {"VEZA_DATA": str(data)})
    address, engine = f"http://127.0.0.1:{port}", make_engine(f"sqlite:///{data / 'veza.db'}")
    try:
        wait_for(address, process)
        yield Served(address, engine)
    finally:
        process.terminate()
        process.wait(30)
        engine.dispose()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """By day and on the night shift."""
    return str(request.param)


@pytest.fixture(params=[1280, 320])
def width(request: pytest.FixtureRequest) -> int:
    """An office screen, and the narrowest that must do."""
    return int(request.param)


class Watched:
    """A page with what went wrong on it: messages of the console, and requests that left the node."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "about:")):
            self.complaints.append(f"left the node: {url}")

    def goto(self, path: str) -> None:
        """Open a page of the node."""
        self.page.goto(self.address + path)


def open_page(context: BrowserContext, address: str) -> Watched:
    """A page where an officer is signed in."""
    watched = Watched(context.new_page(), address)
    watched.goto("/")
    watched.page.fill("#name", "oskar")
    watched.page.fill("#password", PASSWORD)
    watched.page.click("text=Sign in >> visible=true >> nth=-1")
    watched.page.wait_for_url(re.compile(r"/$"))
    return watched


@pytest.fixture
def officer(browser: Browser, served: Served, scheme: str, width: int) -> Iterator[Watched]:
    """An officer's page in each scheme and width; nothing may have gone wrong on it."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    watched = open_page(context, served.address)
    yield watched
    assert watched.complaints == []
    context.close()
