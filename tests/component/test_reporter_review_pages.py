"""Review, rounds and confused pairs, beside the real HTTP sides of library and evaluator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from contracts.commands import MergeClasses
from contracts.events import DoubleChecked
from services.ingest.store.tables import double_check, label_change
from services.ops import cli
from services.ops.stack.record import Connection
from tests.support.browser import serving
from tests.support.label_desk import ask, hear
from tests.support.page_house import PageHouse, page_house, pages, portrait
from tests.support.reporter_house import TOKEN

COLOURS = {"okapi": (120, 60, 90), "otter": (150, 100, 60), "seal": (90, 120, 150)}
CLASSES = sorted(COLOURS)
IMAGES = 24
WRONG = 4
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>" + "w" * 120


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHouse]:
    """24 images of 3 classes; image 4 is an otter that somebody labelled seal."""
    with page_house(tmp_path_factory.mktemp("pages")) as made:
        truth = [CLASSES[number % 3] for number in range(IMAGES)]
        labels = [*truth[:WRONG], "seal", *truth[WRONG + 1 :]]
        scores = np.full((IMAGES, 3), 0.05)
        scores[np.arange(IMAGES), np.arange(IMAGES) % 3] = 0.9
        pictures = [portrait(COLOURS[name], number) for number, name in enumerate(truth)]
        made.ids = made.stock(pictures, labels, [HOSTILE] * IMAGES)
        sets = ["train"] * 6 + ["test"] * (IMAGES - 6)
        made.score(scores, made.ids, [CLASSES.index(name) for name in labels], CLASSES, sets=sets)
        yield made


@pytest.fixture(scope="module")
def address(house: PageHouse) -> Iterator[str]:
    with pages(house) as made:
        yield made


@pytest.fixture
def stranger(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client:
        yield client


@pytest.fixture
def ada(stranger: httpx.Client) -> httpx.Client:
    signed = stranger.post("/sign-in", data={"name": " Ada\n", "token": TOKEN, "next": "/confused-pairs"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/confused-pairs")
    stranger.headers["HX-Request"] = "true"
    return stranger


def fields(page: str) -> dict[str, str]:
    """What the form of the image on the page would send."""
    form = page[page.index('id="verdict"') :]
    form = form[: form.index("</form>")]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def doubt(client: httpx.Client, place: int) -> dict[str, str]:
    return fields(client.get("/review/doubt", params={"at": place}).text)


def verdict(client: httpx.Client, form: dict[str, str], said: str, **more: str) -> httpx.Response:
    return client.post("/review/verdict", data=form | {"said": said} | more)


def history(house: PageHouse, image_id: str) -> list[dict[str, Any]]:
    return [row for row in house.do(house.library.rows(label_change)) if row["image_id"] == image_id]


def checks(house: PageHouse, image_id: str) -> list[tuple[str | None, str | None]]:
    rows = house.do(house.library.rows(double_check))
    return [(row["verdict"], row["checked_by"]) for row in rows if row["image_id"] == image_id]


@pytest.mark.parametrize(
    "path", ["/review", "/review/rounds", "/confused-pairs", f"/pictures/{'a' * 64}/large"]
)
def test_a_stranger_is_asked_who_it_is(stranger: httpx.Client, path: str) -> None:
    sent = stranger.get(path)
    assert (sent.status_code, sent.headers["location"].startswith("/sign-in?next=/")) == (303, True)
    part = stranger.get(path, headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-retarget"], "Sign in again" in part.text) == (
        401,
        "#said",
        True,
    )


@pytest.mark.parametrize("path", ["/review/verdict", "/review/undo", "/review/rounds", "/confused-pairs"])
def test_a_stranger_changes_nothing(stranger: httpx.Client, path: str) -> None:
    assert stranger.post(path, data={"said": "keep"}).status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[::1", ""])
def test_a_form_from_elsewhere_changes_nothing(ada: httpx.Client, house: PageHouse, origin: str) -> None:
    form = doubt(ada, 2)
    answer = ada.post("/review/verdict", data=form | {"said": "remove"}, headers={"Origin": origin})
    assert (answer.status_code, checks(house, form["image_id"])) == (403, [])
    assert ada.post("/sign-out", headers={"Origin": origin}).status_code == 403


def test_a_link_signs_in_once_and_only_as_whom_it_names(stranger: httpx.Client) -> None:
    asked = {"by": "Bob <b>"}
    assert stranger.post("/api/v1/sign-in-links", json=asked).status_code == 401
    path = stranger.post(
        "/api/v1/sign-in-links", json=asked, headers={"Authorization": f"Bearer {TOKEN}"}
    ).json()["path"]
    shown = stranger.get(path)  # whatever previews links takes nothing away
    assert "Bob &lt;b&gt;" in shown.text
    ticket = path.partition("ticket=")[2]
    assert stranger.post("/sign-in", data={"ticket": ticket + "x"}).status_code == 403
    assert stranger.post("/sign-in", data={"ticket": ticket}).status_code == 303
    assert "Bob &lt;b&gt;" in stranger.get("/review").text
    again = stranger.post("/sign-in", data={"ticket": ticket})
    assert (again.status_code, "was used already" in again.text) == (403, True)
    stranger.post("/sign-out")
    assert stranger.get("/review").status_code == 303


def test_the_command_prints_a_link_that_works(
    stranger: httpx.Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(stranger.base_url).rstrip("/")
    stack = Connection({"reporter": address}, "", TOKEN, "ready", {})
    monkeypatch.setattr("services.ops.commands.pages.find_stack", lambda data_dir: stack)
    with pytest.raises(SystemExit):
        cli.main(["open", "--for", "Cleo [b]", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert "Cleo [b]" in stranger.get(told["link"]).text
    with pytest.raises(SystemExit):
        cli.main(["open", "--for", "Cleo"])
    assert f"\n{address}/sign-in?ticket=" in capsys.readouterr().out


def test_the_token_stays_out_of_page_and_cookie(stranger: httpx.Client, ada: httpx.Client) -> None:
    cookie = ada.post("/sign-in", data={"name": "Ada", "token": TOKEN}).headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert TOKEN not in cookie
    for path in ("/review", "/review/rounds", "/confused-pairs", "/models", "/sign-in"):
        assert TOKEN not in ada.get(path).text
    forged = httpx.get(
        f"{ada.base_url}/review", cookies={"menagerie": "eyJwZXJzb24iOiAiQWRhIn0=.abc.def"}, timeout=60
    )
    assert forged.status_code == 303
    wrong = ada.post("/sign-in", data={"name": "Eve", "token": TOKEN[:-1]})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)


@pytest.mark.parametrize("path", ["/models/001/reports/%00{}", "/comparisons/%00{}/summary"])
def test_what_can_be_no_request_id_is_looked_up_nowhere(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path.format("run1")).status_code == 422


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"]
)
def test_signing_in_leads_nowhere_else(stranger: httpx.Client, elsewhere: str) -> None:
    answer = stranger.post("/sign-in", data={"name": "Ada", "token": TOKEN, "next": elsewhere})
    assert answer.headers["location"] == "/review"


def test_the_wrong_label_comes_first_with_why_and_with_examples(ada: httpx.Client, house: PageHouse) -> None:
    page = ada.get("/review/doubt", params={"at": 1}).text
    assert fields(page)["image_id"] == house.ids[WRONG]
    assert "probably wrong label" in page
    assert "as it usually is of images that really show it" in page
    assert page.count("sure to be") == 2
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    picture = ada.get(f"/pictures/{house.ids[WRONG]}/large")
    assert (picture.headers["content-type"], "immutable" in picture.headers["cache-control"]) == (
        "image/png",
        True,
    )
    assert "sandbox" in picture.headers["content-security-policy"]


def test_a_verdict_is_kept_with_name_and_reason_and_a_double_click_counts_once(
    ada: httpx.Client, house: PageHouse
) -> None:
    form = doubt(ada, 1)
    image_id = form["image_id"]
    first = verdict(ada, form, "relabel", label="otter", reason="whiskers")
    again = verdict(ada, form, "relabel", label="otter", reason="whiskers")
    assert (first.status_code, again.status_code) == (200, 200)
    assert "Relabelled to “otter”." in first.text
    (_, change) = history(house, image_id)
    assert (change["label"], change["changed_by"], change["reason"]) == ("otter", "Ada", "whiskers")
    assert checks(house, image_id) == [("relabel", "Ada")]
    verdict(ada, form, "relabel", label="okapi")  # on second thoughts, from the same form
    assert house.label_of(image_id) == "okapi"


@pytest.mark.parametrize(("place", "said"), [(3, "keep"), (4, "unsure"), (5, "remove")])
def test_every_verdict_leaves_its_trace_and_is_not_asked_again(
    ada: httpx.Client, house: PageHouse, place: int, said: str
) -> None:
    form = doubt(ada, place)
    looked = int(re.findall(r"(\d+) of \d+ looked at", ada.get("/review/doubt").text)[0])
    answer = verdict(ada, form, said)
    assert f"{looked + 1} of {IMAGES} looked at" in answer.text
    assert checks(house, form["image_id"]) == [(said, "Ada")]
    label = "rejected" if said == "remove" else history(house, form["image_id"])[0]["label"]
    assert house.label_of(form["image_id"]) == label
    assert fields(ada.get("/review/doubt", params={"after": place - 1}).text)["image_id"] != form["image_id"]


def test_a_page_that_was_started_again_knows_what_was_looked_at(ada: httpx.Client, house: PageHouse) -> None:
    form = doubt(ada, 6)
    verdict(ada, form, "keep")
    house.do(house.pass_on())
    with pages(house) as restarted, httpx.Client(base_url=restarted, timeout=60) as client:
        client.headers["Origin"] = restarted
        client.post("/sign-in", data={"name": "Ada", "token": TOKEN})
        again = client.get("/review/doubt", params={"after": 5}).text
    assert fields(again)["image_id"] != form["image_id"]


def test_a_verdict_is_taken_back_unless_somebody_was_there_since(ada: httpx.Client, house: PageHouse) -> None:
    for place, since in ((7, False), (8, True)):
        form = doubt(ada, place)
        before = house.label_of(form["image_id"])
        page = verdict(ada, form, "remove").text
        last = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page[: page.index("</form>")]))
        if since:
            verdict(ada, form, "relabel", label="okapi")
        answer = ada.post("/review/undo", data=last)
        assert ("so it stays as it is now" in answer.text) == since
        assert house.label_of(form["image_id"]) == ("okapi" if since else before)
        assert fields(answer.text)["image_id"] == form["image_id"]
        assert checks(house, form["image_id"])[-1] == (None, None)


def test_a_label_is_kept_only_by_who_saw_it(ada: httpx.Client, house: PageHouse) -> None:
    stale = doubt(ada, 10)
    verdict(ada, doubt(ada, 10), "relabel", label="otter", reason="somebody else, meanwhile")
    before = checks(house, stale["image_id"])
    label = house.label_of(stale["image_id"])
    answer = verdict(ada, stale | {"shown": "seal" if label != "seal" else "okapi"}, "keep")
    assert (answer.status_code, f"its label was changed to “{label}”" in answer.text) == (409, True)
    assert checks(house, stale["image_id"]) == before
    assert verdict(ada, doubt(ada, 10), "keep").status_code == 200


def test_a_class_of_several_labels_is_no_change_and_asks_for_one_of_them(
    ada: httpx.Client, house: PageHouse
) -> None:
    changed = "Since the model was scored its label was changed"
    for place, label in ((11, "calf"), (12, "manatee"), (13, "dugong")):
        verdict(ada, doubt(ada, place), "relabel", label=label, new_label=label)
    page = ada.get("/review/doubt", params={"at": 11}).text
    assert changed in page
    [own] = re.findall(r"Label</span> <bdi>(\w+)<", page)
    for into, members in ((own, (own, "calf")), ("sirenia", ("manatee", "dugong"))):
        asked = ask(MergeClasses, f"merge-{into}", into=into, members=members)
        house.do(hear(house.library, asked))
    page = ada.get("/review/doubt", params={"at": 11}).text
    assert (changed in page, f"trained as <bdi>{own}</bdi>" in page) == (False, True)
    answer = verdict(ada, doubt(ada, 2), "relabel", label="sirenia")
    assert (answer.status_code, "is a class of several labels" in answer.text) == (422, True)
    assert re.findall(r'data-label="(\w+)"(?! data-new)', answer.text) == ["dugong", "manatee"]


def test_marks_of_direction_are_seen_but_not_sent_back(ada: httpx.Client) -> None:
    asked = verdict(ada, doubt(ada, 2), "relabel", label="ot\u200fter").text
    assert ('data-label="ot\u200fter"' in asked, "“ot\ufffdter”" in asked) == (True, True)


def test_a_label_that_no_image_has_is_taken_only_on_purpose(ada: httpx.Client, house: PageHouse) -> None:
    form = doubt(ada, 9)
    asked = verdict(ada, form, "relabel", label="Ottter")
    assert (asked.status_code, asked.headers["hx-retarget"]) == (422, "#said")
    assert 'data-label="otter"' in asked.text
    assert history(house, form["image_id"])[1:] == []
    hostile = verdict(ada, form, "relabel", label=HOSTILE[:100])
    assert "<script" not in hostile.text
    made = verdict(ada, form, "relabel", label="sea otter", new_label="sea otter")
    assert (made.status_code, house.label_of(form["image_id"])) == (200, "sea otter")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"said": ""}, "No verdict was chosen"),
        ({"said": "relabel", "label": ""}, "choose the right label first"),
        ({"said": "keep", "image_id": "f" * 64}, "The library says"),
        ({"said": "keep", "image_id": "../x"}, "The library says"),
        ({"said": "relabel", "label": "x" * 300, "new_label": "x" * 300}, "label"),
    ],
)
def test_what_is_not_kept_is_told_and_stays_on_the_screen(
    ada: httpx.Client, change: dict[str, str], words: str
) -> None:
    answer = ada.post("/review/verdict", data=doubt(ada, 2) | change)
    assert answer.status_code in {404, 422}
    assert (answer.headers["hx-retarget"], words in answer.text) == ("#said", True)


def test_the_queue_is_narrowed_and_an_end_is_told(ada: httpx.Client) -> None:
    page = ada.get("/review", params={"class": "seal", "with": "otter", "set": "train"}).text
    assert "of 1 looked at" in page
    assert '<option value="train" selected>' in page
    assert "No image is of that kind" in ada.get("/review/doubt", params={"class": HOSTILE}).text
    assert "Nothing is left" in ada.get("/review/doubt", params={"after": IMAGES}).text
    assert fields(ada.get("/review", params={"at": "0"}).text)["place"] == "1"
    assert ada.get("/review", params={"at": "9" * 5000}).status_code == 200
    missing = ada.get("/review", params={"model": "999"}, headers={"HX-Request": ""})
    assert (missing.status_code, "model 999 has no queue" in missing.text) == (404, True)


def test_a_round_is_sent_once_and_its_verdicts_come_back(ada: httpx.Client, house: PageHouse) -> None:
    page = ada.get("/review", params={"class": "okapi"}).text
    nonce = re.findall(r'name="nonce" value="(\w+)"', page[: page.index("Send this class")])[0]
    form = {"model": "001", "class": "okapi", "nonce": nonce, "reason": HOSTILE}
    first, again = (ada.post("/review/rounds", data=form).text for _ in range(2))
    [round_id] = set(re.findall(r"Round <code>(\w+)", first + again))
    [follow] = set(re.findall(r'href="(/review/rounds[^"]*)"', first + again))
    waiting = ada.get(follow).text
    [poll] = re.findall(r'hx-get="(/review/rounds/list[^"]*)"', waiting)
    assert "is being made" in waiting
    house.do(house.pass_on())
    listed = ada.get(poll).text
    assert "is being made" not in listed
    assert (listed.count("<article"), "sent by <bdi>Ada</bdi>" in listed, "<script>" in listed) == (
        1,
        True,
        False,
    )
    shown = ada.get("/review", params={"round": round_id}).text
    assert re.search(r"\d of 8 looked at", shown)
    verdict(ada, fields(shown), "keep")
    house.do(house.pass_on())
    assert "1 kept their label" in ada.get("/review/rounds").text
    assert any(isinstance(one, DoubleChecked) for one in house.do(house.library.said()))
    refused = ada.post("/review/rounds", data=form | {"suspicion": "wrong"})
    assert (refused.status_code, "Why here" in refused.text) == (422, True)


def test_an_explanation_is_waited_for_and_a_fault_is_a_sentence(ada: httpx.Client, house: PageHouse) -> None:
    path = f"/review/explanations/{house.ids[WRONG]}"
    asked = {"model": "001", "method": "grad-cam"}
    assert "is being worked out, 1 other one first" in ada.get(path, params=asked).text
    ready = ada.get(path, params=asked).text
    assert "looked at the middle of the picture" in ready
    assert ada.get(f"{path}/overlay", params=asked).headers["content-type"] == "image/png"
    assert "16 explanations wait already" in ada.get(path, params=asked | {"method": "shap"}).text


def test_pairs_are_put_on_changed_and_taken_off_with_their_history(ada: httpx.Client) -> None:
    def change(**form: str) -> httpx.Response:
        return ada.post("/confused-pairs", data={"nonce": "n1", "reason": "whiskers", **form})

    put = change(one="otter", other="seal", weight="0,5")
    assert "“otter” and “seal” now weigh 0.5: version 1" in put.text
    assert "version 1" in change(one="otter", other="seal", weight="0.5").text  # a double click
    assert "no class today" in change(one="seal", other=HOSTILE[:90], weight="0.2").text
    removed = change(one="otter", other="seal", do="remove", reason="told apart by size").text
    assert "are off the table: version 3" in removed
    page = ada.get("/confused-pairs").text
    assert ("told apart by size" in page, "0.5 → none" in page, "<script>" in page) == (True, True, False)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"one": "otter", "other": "otter", "weight": "0.5"}, "a pair is of two classes"),
        ({"one": "otter", "other": "seal", "weight": "1.5"}, "from 0 to 1"),
        ({"one": "otter", "other": "seal", "weight": "nan"}, "from 0 to 1"),
        ({"one": "otter", "other": "", "weight": "0.5"}, "two classes; choose both"),
        ({"one": "otter", "other": "seal", "weight": "0.5", "reason": ""}, "Please say why"),
        ({"one": "okapi", "other": "seal", "do": "remove"}, "is not on the table"),
    ],
)
def test_a_pair_that_cannot_be_is_told_and_changes_nothing(
    ada: httpx.Client, form: dict[str, str], words: str
) -> None:
    before = ada.get("/confused-pairs").text.count("<tr>")
    answer = ada.post("/confused-pairs", data={"nonce": "n2", "reason": "why", **form})
    assert (answer.status_code, words in answer.text) == (422, True)
    assert ada.get("/confused-pairs").text.count("<tr>") == before


def test_what_the_library_kept_is_told_when_the_evaluator_is_away(house: PageHouse) -> None:
    away = "http://127.0.0.1:1"
    with (
        serving(house.apps()["ingest"]) as library,
        pages(house, service_urls={"ingest": library, "evaluator": away}) as address,
        httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client,
    ):
        client.post("/sign-in", data={"name": "Ada", "token": TOKEN})
        client.headers["HX-Request"] = "true"
        form = {"image_id": house.ids[0], "place": "1", "nonce": "away"}
        kept = verdict(client, form, "unsure")
        taken = client.post("/review/undo", data=form)
    assert "Noted: nobody is sure; that is kept." in kept.text
    assert "Taken back; that is kept." in taken.text
    assert [answer.status_code for answer in (kept, taken)] == [503, 503]
    assert checks(house, house.ids[0])[-2:] == [("unsure", "Ada"), (None, None)]


def test_every_page_says_in_words_that_an_owner_is_away(house: PageHouse) -> None:
    away = {"ingest": "http://127.0.0.1:1", "evaluator": "http://127.0.0.1:1"}
    with pages(house, service_urls=away) as address, httpx.Client(base_url=address, timeout=60) as client:
        client.headers["Origin"] = address
        client.post("/sign-in", data={"name": "Ada", "token": TOKEN})
        for path in ("/review", "/review/rounds", "/confused-pairs"):
            answer = client.get(path)
            assert (answer.status_code, "does not answer (ConnectError)" in answer.text) == (503, True)
        client.headers["HX-Request"] = "true"
        answer = client.post("/review/verdict", data={"said": "keep", "image_id": "a" * 64, "nonce": "x"})
        assert (answer.status_code, answer.headers["hx-retarget"]) == (503, "#said")
    with pages(house, service_urls={}, api_token="") as address:
        assert "this system has no token" in httpx.get(f"{address}/sign-in", timeout=60).text
        sent = httpx.post(
            f"{address}/sign-in", data={"name": "Eve", "token": ""}, headers={"Origin": address}, timeout=60
        )
        assert sent.status_code == 403
