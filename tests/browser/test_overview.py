"""The overview in a real browser, over a real store and a real S3 server.

``SCREENSHOT=1 make test-browser`` writes the README's picture; with ``SCREENSHOT_URL=http://127.0.0.1:...``
it is the picture of a stack that runs, after a demo for instance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from services.reporter.domain.projection import project_all
from services.reporter.store.writing import write
from services.runtime.database import Database
from tests.support.browser import Watched, launch, serving, wait_for
from tests.support.reporter_house import application, migrated, page_settings
from tests.support.reporter_story import (
    HOSTILE_LABEL,
    HOSTILE_NAME,
    Story,
    store_thumbnails,
    stored,
)
from tests.support.servers import S3Server

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "overview.png"
REFRESHED_MS = 20_000
"""A part asks for itself every 3 to 8 seconds."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = migrated(f"sqlite:///{tmp_path}/page.sqlite")
    yield database
    database.close()


@pytest.fixture
def address(database: Database, weed: S3Server) -> Iterator[str]:
    store_thumbnails(weed.store())
    app = application(database, page_settings("sqlite://"), weed.store())
    with serving(app) as address:
        yield address


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    """A page at 1280 x 900, watched; nothing it should not have done is forgiven."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    watched = Watched(context.new_page(), address)
    watched.watch()
    yield watched
    context.close()


def tell(database: Database, story: Story, first: int = 0) -> None:
    pairs = [(message, first + seq) for message, seq in stored(story.messages or story.tell())]
    with database.engine.begin() as connection:  # the browser's loop runs in this thread
        write(connection, project_all(pairs))


def test_a_full_page_loads_without_a_fault(watched: Watched, database: Database) -> None:
    tell(database, Story(images=30))
    watched.page.goto(watched.address)
    watched.page.wait_for_load_state("networkidle")
    for title in (
        "Services",
        "Flow of images",
        "Classes",
        "Models",
        "Training",
        "Rejected uploads",
        "Dead letters",
    ):
        expect(watched.page.get_by_role("region", name=title, exact=True)).to_be_visible()
    loaded = "[...document.images].every((image) => image.naturalWidth > 0 || !image.complete)"
    wait_for(lambda: bool(watched.page.evaluate(loaded)))
    assert watched.page.locator("img.thumb").count() > 40
    expect(watched.page.locator(".model").first).to_contain_text("97.4")
    assert watched.violations() == []
    assert watched.faults == []


def test_the_policy_is_in_force_and_the_ear_hears(watched: Watched) -> None:
    watched.page.goto(watched.address)
    watched.page.evaluate("document.body.setAttribute('style', 'color: red')")
    watched.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    wait_for(lambda: len(watched.violations()) >= 1)
    assert watched.page.evaluate("window.ran") is None


def test_hostile_text_shows_as_text(watched: Watched, database: Database) -> None:
    tell(database, Story(images=2))
    watched.page.goto(watched.address)
    expect(watched.page.locator(".class__name", has_text="<script>")).to_have_text(HOSTILE_LABEL)
    expect(watched.page.locator("#part-rejected .item__name").first).to_have_text(
        HOSTILE_NAME.replace("\u202e", "\ufffd")
    )
    assert watched.page.locator("#content script, #content b, #content img:not(.thumb)").count() == 0
    assert watched.faults == []


def test_parts_refresh_by_themselves_and_only_when_they_changed(watched: Watched, database: Database) -> None:
    first = Story(images=3)
    first.open_zoo()
    tell(database, first)
    watched.page.goto(watched.address)
    note = watched.page.locator("#part-flow .head__note")
    expect(note).to_contain_text(f"{len([m for m in first.messages if m.name == 'image.uploaded'])} uploaded")
    watched.page.evaluate("document.getElementById('part-rejected').dataset.kept = 'yes'")
    later = Story(images=1)
    later.image("later/1.png", 3)
    tell(database, later, first=10_000)
    expect(note).to_contain_text(
        f"{len([m for m in first.messages if m.name == 'image.uploaded']) + 1} uploaded", timeout=REFRESHED_MS
    )
    with watched.page.expect_response(
        lambda got: "/parts/rejected" in got.url, timeout=REFRESHED_MS
    ) as answer:
        pass
    assert answer.value.status == 204
    expect(watched.page.locator("#part-rejected[data-kept=yes]")).to_be_visible()
    assert watched.violations() == []
    assert watched.faults == []


def test_a_lost_connection_is_told(watched: Watched, browser: Browser) -> None:
    watched.page.goto(watched.address)
    expect(watched.page.get_by_role("status")).to_have_text("Live")
    watched.page.context.set_offline(True)
    expect(watched.page.get_by_role("status")).to_contain_text("Connection lost", timeout=REFRESHED_MS)
    watched.page.context.set_offline(False)
    expect(watched.page.get_by_role("status")).to_have_text("Live", timeout=REFRESHED_MS)


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_the_page_fits_its_window(watched: Watched, database: Database, width: int) -> None:
    tell(database, Story(images=2))
    watched.page.set_viewport_size({"width": width, "height": 800})
    watched.page.goto(watched.address)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_the_content_first(watched: Watched) -> None:
    watched.page.goto(watched.address)
    watched.page.keyboard.press("Tab")
    expect(watched.page.locator(":focus")).to_have_text("Skip to the content")
    watched.page.keyboard.press("Enter")
    assert watched.page.evaluate("document.activeElement.id") == "content"


def test_an_empty_store_says_what_to_do(watched: Watched) -> None:
    watched.page.goto(watched.address)
    expect(watched.page.locator("#part-flow .empty")).to_contain_text("menagerie upload")
    assert watched.faults == []


ALL_PICTURES_LOADED = """() => Promise.all([...document.images].map(image => {
    image.loading = "eager";  // a thumbnail below the window is lazy
    return image.complete || new Promise(done => { image.onload = image.onerror = done; });
}))"""


def test_a_picture_can_be_taken(watched: Watched, database: Database, tmp_path: Path) -> None:
    running = os.environ.get("SCREENSHOT_URL")
    if not running:
        tell(database, Story(images=120))
    watched.page.goto(running or watched.address)
    watched.page.wait_for_load_state("networkidle")
    watched.page.evaluate(ALL_PICTURES_LOADED)
    path = PICTURE if running or os.environ.get("SCREENSHOT") else tmp_path / "overview.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    watched.page.screenshot(path=path, full_page=True)
    assert path.stat().st_size > 50_000
