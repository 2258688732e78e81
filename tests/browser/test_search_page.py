"""The report of a search, opened from a folder: nothing is loaded, nothing runs, nothing sticks out."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from services.trainer.search.charts import charts_of
from services.trainer.search.page import page_of
from services.trainer.search.report import document_of
from tests.support.browser import Watched, launch
from tests.support.searching import HOSTILE, hostile_report


def test_the_page_of_a_search_shows_its_pictures_and_asks_for_nothing(tmp_path: Path) -> None:
    spec = hostile_report()
    document = document_of(spec)
    place = tmp_path / "page.html"
    place.write_text(page_of(document, charts_of(spec, document["importance"])), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        watched = Watched(browser.new_page(viewport={"width": 1000, "height": 900}), "file://")
        watched.watch()
        watched.page.goto(place.as_uri())
        expect(watched.page.get_by_role("heading", level=1)).to_have_text("Search search-0001")
        expect(watched.page.get_by_text(HOSTILE.replace("\u202e", "\ufffd")).first).to_be_visible()
        shown = watched.page.evaluate(
            "[...document.images].map((one) => one.complete && one.naturalWidth > 0)"
        )
        assert shown == [True] * 4
        assert all(watched.page.evaluate("[...document.images].map((one) => one.alt.length > 20)"))
        for width in (1000, 400):
            watched.page.set_viewport_size({"width": width, "height": 900})
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
        faults = [fault for fault in watched.faults if not fault.startswith("foreign: data:")]
        assert (faults, watched.violations()) == ([], [])
        browser.close()
