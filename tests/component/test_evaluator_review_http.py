"""The double-check queue and the confused pairs over HTTP, on both kinds of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from contracts.commands import RequestDoubleCheck, RequestReview, SetConfused
from contracts.events import ConfusedPairsChanged, DoubleChecked
from contracts.subjects import CONSUMERS, PUBLISHES
from contracts.values import DoubleCheckVerdict
from services.evaluator.reviewing import PUBLISHES as SAID
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import AT
from tests.support.review_desk import ReviewHouse, later

CLASSES = ("okapi", "otter", "zebra")
IDS = [f"{number:064x}" for number in range(12)]
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
CONFUSED, REVIEW = "class.set-confused", "model.review-requested"


def scores() -> np.ndarray[Any, Any]:
    """Right with 90 %, but image 3 is an otter, 7 a zebra, and 11 is unsure."""
    answers = list(LABELS)
    answers[3], answers[7] = 1, 2
    made = np.full((12, 3), 0.05)
    made[np.arange(12), answers] = 0.9
    made[11] = (0.2, 0.38, 0.42)
    return made


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[ReviewHouse]:
    made = ReviewHouse(database_url)
    yield made
    made.close()


@pytest.fixture
async def client(house: ReviewHouse) -> AsyncIterator[httpx.AsyncClient]:
    await house.score("001", scores(), IDS, LABELS, CLASSES, sets=["train"] * 6 + ["test"] * 6)
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer desk-token"}
    async with httpx.AsyncClient(transport=transport, base_url="http://evaluator", headers=headers) as made:
        yield made


async def post(client: httpx.AsyncClient, name: str, **fields: Any) -> httpx.Response:
    return await client.post(f"/api/v1/commands/{name}", json={"by": "ann", **fields})


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def checked(image_id: str, verdict: str, hours: float, revision: int = 1) -> DoubleChecked:
    return DoubleChecked(
        image_id=image_id, revision=revision, verdict=DoubleCheckVerdict(verdict), by="bob", checked_at=later(hours)
    )  # fmt: skip


def test_what_the_evaluator_hears_and_says_of_reviews_is_declared() -> None:
    assert {kind.name for kind in SAID} <= set(PUBLISHES["evaluator"])
    heard = {name for one in CONSUMERS if one.service == "evaluator" for name in one.names}
    assert {CONFUSED, REVIEW, DoubleChecked.name} <= heard
    assert {CONFUSED, REVIEW} <= set(PUBLISHES["ops"])


async def test_the_queue_is_read_in_pages_by_class_pair_set_and_suspicion(client: httpx.AsyncClient) -> None:
    whole = await get(client, "queue")
    assert (whole["model_version"], whole["next"], len(whole["images"])) == ("001", None, 12)
    assert whole["counts"] == {"mislabelled": 2, "low-scoring": 10}
    assert [row["image_id"] for row in whole["images"][:3]] == [IDS[3], IDS[7], IDS[11]]
    first = whole["images"][0]
    assert (first["label"], first["other"], first["suspicion"]) == ("okapi", "otter", "mislabelled")
    assert (first["label_example"], first["other_example"]) == (IDS[0], IDS[4])
    page = await get(client, "queue", limit=2)
    rest = await get(client, "queue", limit=1000, after=page["next"])
    assert page["images"] + rest["images"] == whole["images"]
    okapis = await get(client, "queue", **{"class": "okapi"})
    assert {row["label"] for row in okapis["images"]} == {"okapi"}
    pair = await get(client, "queue", **{"class": "zebra", "confused_with": "otter"})
    assert {row["image_id"] for row in pair["images"]} == {IDS[7], IDS[11]}
    tested = await get(client, "queue", set="test", suspicion="mislabelled")
    assert [row["image_id"] for row in tested["images"]] == [IDS[7]]


async def test_the_queue_tells_its_parts_and_where_images_stand_in_one_of_them(
    client: httpx.AsyncClient,
) -> None:
    parts = await get(client, "queue/parts")
    assert parts["pairs"] == [
        {"label": "okapi", "other": "otter", "images": 1},
        {"label": "otter", "other": "zebra", "images": 1},
    ]
    assert sorted((one["set"], one["images"]) for one in parts["sets"]) == [("test", 6), ("train", 6)]
    assert (await get(client, "queue"))["total"] == 12
    assert (await get(client, "queue", **{"class": "okapi"}, limit=1))["total"] == 4
    asked = {"class": "okapi", "image_ids": [IDS[0], IDS[3], IDS[7], "f" * 64]}
    found = (await client.post("/api/v1/queue/ranks", json=asked)).json()
    first, second = found["ranks"]
    assert (first, second > 1) == (1, True)
    refused = await client.post("/api/v1/queue/ranks", json={"image_ids": [], "clas": "okapi"})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("queue?model_version=9", 422, "model_version"),
        ("queue?model_version=009", 404, "model 009 has no queue; models with one: 001"),
        ("queue?clas=okapi", 422, "clas"),
        ("queue?confused_with=okapi", 422, "confused_with goes with class"),
        ("queue?suspicion=ugly", 422, "suspicion"),
        ("queue?after=-1", 422, "after"),
        ("rounds?limit=0", 422, "limit"),
        ("rounds/never", 404, "there is no round 'never'"),
        ("rounds/never/images", 404, "there is no round 'never'"),
        ("confused-pairs?version=3", 404, "there is no version 3 of the confused pairs; the newest is 0"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_sentence(
    client: httpx.AsyncClient, path: str, status: int, detail: str
) -> None:
    answer = await client.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


async def test_without_the_token_nothing_is_told(client: httpx.AsyncClient) -> None:
    for path in ("queue", "rounds", "confused-pairs"):
        answer = await client.get(f"/api/v1/{path}", headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401


async def test_a_queue_that_is_gone_from_the_store_is_told_as_such(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    house.store.objects.clear()  # type: ignore[attr-defined]
    answer = await client.get("/api/v1/queue")
    assert (answer.status_code, "can no longer be read" in answer.json()["detail"]) == (409, True)


async def test_every_change_of_the_confused_pairs_is_a_version_that_stays_readable(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    asked = {"request_id": "step-1", "one": "zebra", "other": "okapi", "weight": 0.5, "reason": "stripes"}
    done = (await post(client, CONFUSED, **asked)).json()
    assert done == {"request_id": "step-1", "version": 1, "one": "okapi", "other": "zebra", "weight": 0.5}
    assert (await post(client, CONFUSED, **asked)).json() == done
    await house.hear(SetConfused(**asked, by="ann", requested_at=AT))  # the same as a message
    await house.hear(
        SetConfused(request_id="step-2", one="okapi", other="zebra", weight=None, by="bob", requested_at=AT)
    )
    assert await get(client, "confused-pairs") == {"version": 2, "pairs": []}
    assert await get(client, "confused-pairs", version=1) == {
        "version": 1,
        "pairs": [{"one": "okapi", "other": "zebra", "weight": 0.5}],
    }
    second, first = (await get(client, "confused-pairs/changes"))["changes"]
    assert (first["by"], first["reason"], first["previous_weight"]) == ("ann", "stripes", None)
    assert (second["weight"], second["previous_weight"]) == (None, 0.5)
    told = await house.said(ConfusedPairsChanged)
    assert [(one.version, one.weight, one.previous_weight) for one in told] == [  # type: ignore[attr-defined]
        (1, 0.5, None),
        (2, None, 0.5),
    ]


@pytest.mark.parametrize(
    ("name", "fields", "status", "detail"),
    [
        (CONFUSED, {"one": "okapi", "other": "okapi", "weight": 0.5}, 422, "a pair is of two classes"),
        (CONFUSED, {"one": "okapi", "other": "zebra", "weight": 2}, 422, "weight"),
        (CONFUSED, {"one": "okapi", "other": "zebra", "weight": None}, 422, "is not on the table"),
        (CONFUSED, {"one": "okapi", "other": "zebra"}, 422, "weight"),
        (REVIEW, {"model_version": "404"}, 404, "model 404 has no queue"),
        (REVIEW, {"model_version": "001", "confused_with": "zebra"}, 422, "confused_with"),
        (REVIEW, {"model_version": "001", "limit": 0}, 422, "limit"),
        (REVIEW, {"model_version": "001", "by": ""}, 422, "by"),
        ("label.assign", {}, 404, "no command"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_changes_nothing(
    house: ReviewHouse, client: httpx.AsyncClient, name: str, fields: dict[str, Any], status: int, detail: str
) -> None:
    answer = await post(client, name, **fields)
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True)
    assert await house.said(ConfusedPairsChanged, RequestReview) == []
    with pytest.raises(Unprocessable):
        await house.hear(RequestReview(request_id="heard-1", model_version="404", by="ann", requested_at=AT))


async def test_one_request_id_is_not_used_for_two_commands(client: httpx.AsyncClient) -> None:
    await post(client, REVIEW, request_id="step-1", model_version="001")
    answer = await post(client, CONFUSED, request_id="step-1", one="okapi", other="zebra", weight=0.5)
    assert (answer.status_code, "was used for model.review-requested" in answer.json()["detail"]) == (
        409,
        True,
    )


def round_of(request_id: str, **fields: Any) -> RequestReview:
    return RequestReview(
        **{"request_id": request_id, "model_version": "001", "by": "ann", "requested_at": AT, **fields}
    )


async def test_a_round_asks_the_library_once_for_the_most_doubtful_images(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    asked = await post(client, REVIEW, request_id="round-1", model_version="001", limit=2, reason="spring")
    assert asked.json() == {"request_id": "round-1", "queued": True, "round_id": "round-1"}
    (queued,) = await house.said(RequestReview)
    await house.hear(queued, queued)  # redelivery
    (double_check,) = await house.said(RequestDoubleCheck)
    assert isinstance(double_check, RequestDoubleCheck)
    assert double_check.image_ids == (IDS[3], IDS[7])
    assert double_check.reason == "round round-1 of model 001: spring"
    (told,) = (await get(client, "rounds"))["rounds"]
    assert (told["round_id"], told["images"], told["waiting"], told["by"]) == ("round-1", 2, 2, "ann")
    found = await get(client, "rounds/round-1/images", limit=1)
    assert (found["images"][0]["image_id"], found["images"][0]["verdict"]) == (IDS[3], None)
    rest = await get(client, "rounds/round-1/images", after=found["next"])
    assert ([row["image_id"] for row in rest["images"]], rest["next"]) == ([IDS[7]], None)


async def test_a_whole_class_and_a_pair_are_queued_as_they_are_and_large_ones_in_several_messages(
    house: ReviewHouse, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluator.review.rounds.MESSAGE_IMAGES", 3)
    await house.hear(round_of("round-1", class_name="okapi"))
    first, second = await house.said(RequestDoubleCheck)
    assert first.image_ids == (IDS[3], IDS[0], IDS[1])  # type: ignore[attr-defined]
    assert second.image_ids == (IDS[2],)  # type: ignore[attr-defined]
    assert first.request_id != second.request_id  # type: ignore[attr-defined]
    await house.hear(round_of("round-2", class_name="otter", confused_with="zebra", sets=("test",)))
    found = await get(client, "rounds/round-2/images")
    assert {row["image_id"] for row in found["images"]} == {IDS[7], IDS[11]}


async def test_a_next_round_leaves_out_what_waits_and_what_a_person_has_settled(
    house: ReviewHouse, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluator.review.acting.PAGE", 2)
    hours = 24 * 365 * 10  # the rounds are made now
    await house.hear(round_of("round-1", limit=3))
    await house.hear(checked(IDS[3], "keep", hours), checked(IDS[7], "relabel", hours))
    await house.hear(round_of("round-2", limit=2))
    second = await get(client, "rounds/round-2/images")
    assert [row["image_id"] for row in second["images"]] == [IDS[0], IDS[1]]
    # A newer model has heard of the relabelling; the label that was kept still stands.
    labels = list(LABELS)
    labels[7] = 2
    await house.score("002", scores(), IDS, labels, CLASSES, at=later(hours) + timedelta(hours=1))
    await house.hear(round_of("round-3", model_version="002", limit=12))
    third = await get(client, "rounds/round-3/images")
    assert {row["image_id"] for row in third["images"]} == set(IDS) - {IDS[3], IDS[11], IDS[0], IDS[1]}


async def test_a_verdict_outside_any_round_settles_an_image_until_it_is_scored_again(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    hours = 24 * 365 * 10
    await house.hear(checked(IDS[3], "relabel", -1), checked(IDS[7], "keep", hours))
    await house.hear(checked(IDS[7], "unsure", -1, 2))  # an older one comes late
    await house.hear(round_of("round-1", limit=2))
    first = await get(client, "rounds/round-1/images")
    assert [row["image_id"] for row in first["images"]] == [IDS[3], IDS[11]]
    await house.score("002", scores(), IDS, LABELS, CLASSES, at=later(hours + 1))
    await house.hear(round_of("round-2", model_version="002", limit=1))
    second = await get(client, "rounds/round-2/images")
    assert [row["image_id"] for row in second["images"]] == [IDS[7]]


async def test_verdicts_may_come_twice_and_late_and_end_only_what_was_asked_before_them(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    hours = 24 * 365 * 10
    await house.hear(round_of("round-1", limit=2))
    await house.hear(checked(IDS[3], "keep", -1))  # an older double-check of the image
    assert (await get(client, "rounds/round-1"))["verdicts"] == {"waiting": 2}
    verdict = checked(IDS[3], "relabel", hours)
    await house.hear(verdict, verdict, checked(IDS[3], "keep", hours + 1, 2), checked(IDS[5], "keep", hours))
    told = await get(client, "rounds/round-1")
    assert (told["verdicts"], told["changed"]) == ({"relabel": 1, "waiting": 1}, 1)
    waiting = await get(client, "rounds/round-1/images", waiting=True)
    assert [row["image_id"] for row in waiting["images"]] == [IDS[7]]


async def test_the_effect_of_a_round_names_the_first_newer_model_that_was_scored_after_it(
    house: ReviewHouse, client: httpx.AsyncClient
) -> None:
    hours = 24 * 365 * 10
    await house.hear(round_of("round-1", limit=1))
    await house.score("002", scores(), IDS, LABELS, CLASSES)
    await house.hear(checked(IDS[3], "remove", hours))
    again = later(hours + 2)
    await house.score("002", scores(), IDS, LABELS, CLASSES, request_id="again-1", at=again)
    await house.score("003", scores(), IDS, LABELS, CLASSES, throw_away=True, at=later(hours + 1))
    assert (await get(client, "rounds/round-1"))["after"] is None
    better = {"name": "test", "images": 4, "accuracy": 0.75}
    await house.score("004", scores(), IDS, LABELS, CLASSES, at=later(hours + 3), figures=better)
    await house.score("005", scores(), IDS, LABELS, CLASSES, at=later(hours + 4))
    told = await get(client, "rounds/round-1")
    assert (told["before"]["model_version"], told["after"]["model_version"]) == ("001", "004")
    assert told["after"]["test"]["accuracy"] == 0.75
    assert "1 were removed" in told["effect"][0]
    assert "Model 004 was right on 75.0 % of its 4 test images" in told["effect"][1]
