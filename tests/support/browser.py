"""A page in Chromium that remembers everything it should not have done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Playwright
from starlette.applications import Starlette

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


@dataclass
class Watched:
    """A page with its console errors, its failed and its foreign requests, and its dialogs."""

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """From now on."""
        self.page.add_init_script(LISTEN)
        self.page.on(
            "console", lambda said: self._note(said.type in {"error", "warning"}, f"console: {said.text}")
        )
        self.page.on("pageerror", lambda error: self._note(True, f"script: {error}"))
        self.page.on("dialog", lambda dialog: self._note(True, f"dialog: {dialog.message}"))
        self.page.on(
            "request",
            lambda asked: self._note(not asked.url.startswith(self.address), f"foreign: {asked.url}"),
        )
        self.page.on("response", lambda got: self._note(got.status >= 400, f"{got.status}: {got.url}"))

    def violations(self) -> list[str]:
        """Breaches of the Content-Security-Policy."""
        found = self.page.evaluate("window.violations")
        assert isinstance(found, list)
        return found

    def _note(self, bad: bool, fault: str) -> None:
        if bad:
            self.faults.append(fault)


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium.

    It fails instead of skipping: a page that nobody looked at is not a page that works.
    """
    if not CHROMIUM.exists():
        pytest.fail(
            f"{CHROMIUM} is missing; install it (`apt-get install -y --no-install-recommends chromium`) "
            "and run `make test-browser` again",
            pytrace=False,
        )
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """``app`` on a free port of this machine; gives its address."""
    # No logging set-up: it would close every handler of the process, and absl's closes pytest's stream.
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    """Poll until ``condition`` holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not so within {deadline_s:g} s")
        time.sleep(0.02)
