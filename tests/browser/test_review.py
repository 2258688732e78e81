"""Review, rounds and confused pairs in a real browser, over a real library and a real evaluator.

``SCREENSHOT=1`` writes the picture of docs/evaluation.md.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error, Page, Request, Route, expect, sync_playwright

from services.reporter.web.assets import Assets
from services.reporter.web.rendering import Templates
from tests.support.browser import Watched, launch, wait_for
from tests.support.digit_library import digits
from tests.support.page_house import PageHouse, page_house, pages
from tests.support.reporter_house import TOKEN

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "review.png"
NAMES = {"four": "4", "nine": "9", "seven": "7"}
HOSTILE = "<script>window.ran=1</script>\"'><img src=x onerror=window.ran=1>" + "w" * 120
EACH = 8
WRONG = 3


def digit(name: str, number: int) -> bytes:
    """A handwritten digit, enlarged as a person would look at it."""
    held = io.BytesIO()
    picture = Image.fromarray(digits()[NAMES[name]][number])
    picture.resize((280, 280), Image.Resampling.BICUBIC).save(held, "png")
    return held.getvalue()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHouse]:
    """Fours, nines and sevens; one nine was labelled four, and the last seven something hostile."""
    with page_house(tmp_path_factory.mktemp("review")) as made:
        classes = (*NAMES, HOSTILE)
        truth = [number % 3 for number in range(3 * EACH)]
        labels = list(truth)
        labels[3 * WRONG + 1] = 0
        labels[-1] = 3
        scores = np.full((len(truth), 4), 0.02)
        scores[np.arange(len(truth)), truth] = 0.94
        pictures = [digit(classes[label], number // 3) for number, label in enumerate(truth)]
        names = [f"scan-{number:03d}.png" for number in range(len(truth) - 1)] + [HOSTILE]
        made.ids = made.stock(pictures, [classes[label] for label in labels], names)
        made.score(scores, made.ids, labels, classes, sets=["train", "test"] * (len(truth) // 2))
        yield made


@pytest.fixture(scope="module")
def watched(house: PageHouse) -> Iterator[Watched]:
    """Signed in by a link, as a person is."""
    with pages(house) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        made = Watched(browser.new_page(viewport={"width": 1280, "height": 900}), address)
        made.watch()
        asked = {"json": {"by": "Ada"}, "headers": {"Authorization": f"Bearer {TOKEN}"}, "timeout": 60}
        made.page.goto(address + httpx.post(f"{address}/api/v1/sign-in-links", **asked).json()["path"])
        made.page.get_by_role("button", name="Sign in").click()
        expect(made.page.locator("#doubt-title")).to_be_visible()
        yield made
        browser.close()


def begin(watched: Watched, path: str = "/review") -> Page:
    watched.faults.clear()
    watched.page.set_viewport_size({"width": 1280, "height": 900})
    watched.page.goto(watched.address + path)
    return watched.page


def well(watched: Watched) -> bool:
    return (watched.faults, watched.violations(), watched.page.evaluate("window.ran")) == ([], [], None)


def test_a_wrong_label_is_seen_first_mended_by_keyboard_and_taken_back(
    watched: Watched, house: PageHouse
) -> None:
    page, wrong = begin(watched), house.ids[3 * WRONG + 1]
    expect(page.locator("#doubt-title")).to_contain_text("four")
    expect(page.locator(".look__why")).to_contain_text("“nine” (94.0")
    expect(page.locator(".example img")).to_have_count(2)
    page.wait_for_load_state("networkidle")
    if os.environ.get("SCREENSHOT"):
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(PICTURE, optimize=True)
        return  # taking a picture hides the caret by a style, which the policy notes
    page.keyboard.press("g")
    expect(page.locator(".explained__pictures img")).to_have_count(2, timeout=20_000)
    page.keyboard.press("g")
    expect(page.locator(".explained__pictures")).to_have_count(0)
    page.keyboard.press("r")
    page.keyboard.type("nine")
    page.keyboard.press("Enter")
    expect(page.locator(".last")).to_contain_text("Relabelled to “nine”.")
    expect(page.locator("#progress")).to_have_text("1 of 24 looked at")
    expect(page.locator("#doubt-title")).to_be_focused()
    assert house.label_of(wrong) == "nine"
    page.keyboard.press("z")
    expect(page.locator(".last")).to_contain_text("Taken back")
    expect(page.locator("#progress")).to_have_text("0 of 24 looked at")
    assert house.label_of(wrong) == "four"
    page.keyboard.press("m")
    expect(page.locator(".last")).to_contain_text("Relabelled to “nine”.")
    assert well(watched), watched.faults


def test_hostile_text_is_text_and_fits_every_window(watched: Watched) -> None:
    page = begin(watched, "/review?set=test&suspicion=mislabelled")
    expect(page.locator("#doubt-title bdi")).to_have_text(HOSTILE)
    expect(page.locator(".about__file")).to_have_text(HOSTILE)
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert well(watched), watched.faults


def test_a_verdict_that_is_not_kept_stays_on_the_screen(watched: Watched, house: PageHouse) -> None:
    page = begin(watched, "/review?class=seven")
    shown = page.locator("#verdict [name=image_id]").input_value()
    page.keyboard.press("r")
    page.keyboard.type("sevenn")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No image has the label “sevenn” yet")
    assert page.locator("#other-label").input_value() == "sevenn"
    page.context.set_offline(True)
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    expect(page.get_by_role("alert")).to_contain_text("server does not answer")
    page.context.set_offline(False)
    assert page.locator("#verdict [name=image_id]").input_value() == shown
    page.keyboard.press("k")
    expect(page.locator(".last")).to_contain_text("The label stays.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_key_that_follows_too_fast_does_not_take_back_another_verdict(
    watched: Watched, house: PageHouse
) -> None:
    page = begin(watched, "/review?class=seven")
    page.keyboard.press("u")
    expect(page.locator(".last")).to_contain_text("nobody is sure")
    first = page.locator(".last [name=image_id]").get_attribute("value")
    sent: list[str] = []

    def note(asked: Request) -> None:
        sent.append(asked.url.removeprefix(watched.address))

    page.on("request", note)
    page.evaluate(
        "for (const key of ['k', 'z', 's'])"
        " document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
    )
    expect(page.locator(".last")).to_contain_text("The label stays.")
    expect(page.locator("#progress")).to_contain_text("looked at")
    assert page.locator(".last [name=image_id]").get_attribute("value") != first
    page.remove_listener("request", note)
    assert [path for path in sent if path.startswith("/review/")] == ["/review/verdict"]
    assert well(watched), watched.faults


def test_an_explanation_that_comes_late_does_not_replace_the_one_asked_for_since(watched: Watched) -> None:
    page = begin(watched)
    shown = page.locator("#explained")
    working = Templates(Assets()).render(
        "review/explanation.html", told={"state": "working", "ahead": 0}, fault="", image_id="a" * 64,
        model="001", method="lime", name="LIME",
    )  # fmt: skip
    held: list[Route] = []

    def answered(route: Route) -> None:
        if "a" * 64 in route.request.url:  # by what the page was told first
            held.append(route)
            return
        body = "<p>the heat</p>" if "grad-cam" in route.request.url else working
        route.fulfill(status=200, content_type="text/html", body=body)

    page.route("**/review/explanations/**", answered)
    page.get_by_role("button", name="LIME").click()
    expect(shown).to_contain_text("is being worked out")
    wait_for(lambda: page.evaluate("1") == 1 and bool(held))
    page.keyboard.press("g")
    expect(shown).to_have_text("the heat")
    for route in held:
        with contextlib.suppress(Error):  # the page gave it up
            route.fulfill(status=200, content_type="text/html", body="<p>too late</p>")
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(shown).to_have_text("the heat")
    page.unroute("**/review/explanations/**")
    page.keyboard.press("g")  # off, or the next pages would ask for it


def test_a_class_is_sent_as_a_round(watched: Watched, house: PageHouse) -> None:
    page = begin(watched, "/review?class=nine")
    page.get_by_label("Why this round").fill("loops")
    page.get_by_role("button", name="Send this class as a round").dblclick()
    expect(page.locator("#sent")).to_contain_text("is sent")
    house.do(house.pass_on())
    page.get_by_role("link", name="Rounds and what came of them").click()
    expect(page.locator(".round")).to_have_count(1)
    page.get_by_role("link", name="that wait").click()
    expect(page.locator("#doubt-title")).to_contain_text("nine")
    assert well(watched), watched.faults


def test_a_pair_is_put_on_the_table_and_taken_off(watched: Watched) -> None:
    page = begin(watched, "/confused-pairs")
    add = page.get_by_role("region", name="Put a pair on the table")
    add.get_by_label("Class").fill("four")
    add.get_by_label("taken for").fill("nine")
    add.get_by_label("Why").fill("both open")
    add.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("now weigh 0.5")
    page.get_by_label("Why it changes").fill("no more")
    page.get_by_role("button", name="Take off").click()
    expect(page.get_by_role("status")).to_contain_text("off the table: version 2")
    expect(page.locator(".history tbody tr")).to_have_count(2)
    assert well(watched), watched.faults


def test_the_models_tell_their_verdict_and_everything_is_reached_by_tab(watched: Watched) -> None:
    page = begin(watched, "/models")
    expect(page.locator(".model")).to_contain_text("Go")
    page.get_by_role("link", name="Its doubtful labels").click()
    expect(page.locator("#verdict")).to_be_visible()
    seen: set[str] = set()

    def everything() -> bool:
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("document.activeElement.dataset.key ?? document.activeElement.textContent.trim()")
        )
        return {"Sign out", "g", "k", "u", "x", "r", "Relabel", "s"} <= seen

    wait_for(everything)
    assert well(watched), watched.faults
