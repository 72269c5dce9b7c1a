"""The live page in a real browser.

`nox -s dashboard` names the browser in `PVE_BROWSER`; without it, as in the ordinary run of all tests, nothing here is
collected. `PVE_SCREENSHOTS` names the folder that the pictures go to, docs/images for those of the documents.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvesim.engine import Simulator
from pvesim.serve import SimServer

BROWSER = os.environ.get("PVE_BROWSER", "")
collect_ignore_glob = [] if BROWSER else ["test_*.py"]

# Chromium as root in a container, with nothing that would ask the network for anything.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def simulator() -> Simulator:
    """Time stands still unless the test moves it, so that all pages look the same each time."""
    return Simulator("homelab", clock="manual")


@pytest.fixture
def server(simulator: Simulator) -> Iterator[SimServer]:
    with SimServer(simulator, tls=False) as server:
        yield server


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open the page of a server and wait until it is live. A page that complains fails its test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(server: SimServer, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(server.url)
        page.wait_for_selector("body[data-live=true]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    # What the control API refuses, and a server that is gone, the browser reports by itself.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def page(look: Callable[..., Any], server: SimServer) -> Any:
    return look(server)


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Any, str], None]:
    """Take a picture of a whole page."""
    folder = Path(os.environ.get("PVE_SCREENSHOTS") or tmp_path)

    def take(page: Any, name: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        path = folder / f"dashboard-{name}.png"
        page.screenshot(path=path, animations="disabled")
        assert path.stat().st_size > 10_000

    return take
