"""Labels, opinions, double-checks, benchmarks and suggestions on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from contracts.commands import (
    AssignBenchmark,
    AssignLabel,
    AssignLabels,
    CloseDoubleCheck,
    GiveOpinion,
    RequestDoubleCheck,
    UndoLabels,
)
from contracts.events import BulkIdentified
from contracts.message import Message
from deploy.migrate import upgrade
from services.ingest.actions.perform import perform
from services.ingest.store.benchmarks import benchmark_sets
from services.ingest.store.double_checks import open_double_check
from services.ingest.store.opinions import disagreement_clause, opinion_count
from services.ingest.store.tables import double_check, image, label_change, opinion, suggestion
from tests.support.ingest_house import AT, House, deliveries
from tests.support.label_desk import ask, hear, outcome, shelve

pytestmark = pytest.mark.integration
MANY = 2500
"""More than one page of ids."""


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    upgrade("ingest", database_url)
    made = House(database_url, tmp_path / "work")
    yield made
    made.close()


async def shelved(house: House, images: int) -> list[str]:
    return await house.database.run(lambda unit: shelve(unit.connection, images))


async def listed(house: House) -> list[tuple[Any, ...]]:
    query = sa.select(opinion_count(), disagreement_clause(), open_double_check()).select_from(image)
    rows = await house.database.read(
        lambda connection: connection.execute(query.order_by(image.c.image_id)).all()
    )
    return [(count, bool(disagree), reason) for count, disagree, reason in rows]


async def test_a_whole_story_comes_out_the_same(house: House) -> None:
    one, other = await shelved(house, 2)
    top = [{"label": "lion\0", "confidence": 60.0}, {"label": "\N{LION FACE}", "confidence": 30.0}]
    pages = [
        BulkIdentified(
            run_id=f"run-{n}", page=1, model_version=version, identified_at=AT,
            results=[{"image_id": one, "top": top[n:]}, {"image_id": "f" * 64, "top": top}],
        )
        for n, version in enumerate(["1000", "0999"])
    ]  # fmt: skip
    await house.handlers.suggestions(deliveries(pages))
    await house.handlers.suggestions(deliveries(pages[::-1]))
    hostile = "'; DROP TABLE image; -- <b>\0</b>"
    story = [
        ask(AssignLabels, "request-01", image_ids=[one, other], label="otter"),
        ask(GiveOpinion, "request-02", image_id=one, label=hostile, by=hostile, reason=hostile),
        ask(RequestDoubleCheck, "request-03", image_ids=[one, other], reason=hostile),
        ask(CloseDoubleCheck, "request-04", image_ids=[other], verdict="unsure", reason=hostile),
        ask(AssignBenchmark, "request-05", image_ids=[one], benchmark=hostile),
        ask(AssignLabel, "request-06", image_id=other, label=hostile, kind="out-of-scope"),
    ]
    for _ in range(2):
        for request in story:
            await hear(house, request)
    shown = hostile.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert await listed(house) == [(2, True, shown), (1, False, None)]
    [kept] = await house.rows(suggestion)
    assert (kept["image_id"], kept["model_version"], kept["top"]) == (one, "1000", top)
    first, *_ = await house.rows(label_change)
    assert first["suggestion"] == {"model_version": "1000", "top": top}
    found = await house.database.read(benchmark_sets)
    assert [(s.benchmark, s.images) for s in found if s.images] == [(shown, 1)]
    disagreeing = sa.select(image.c.image_id).where(disagreement_clause())
    assert await house.database.read(lambda c: list(c.scalars(disagreeing))) == [one]
    queued = sa.select(image.c.image_id).where(open_double_check().is_not(None))
    assert await house.database.read(lambda c: list(c.scalars(queued))) == [one]


async def test_a_change_of_many_images_is_undone_in_one(house: House) -> None:
    ids = await shelved(house, MANY)
    for start in range(0, MANY, 1000):
        batch = ids[start : start + 1000]
        await hear(
            house, ask(AssignLabels, f"part-{start}", image_ids=batch, label="lion", change_id="folder")
        )
    await hear(house, ask(AssignLabel, "request-1", image_id=ids[7], label="otter"))
    undo = ask(UndoLabels, "request-2", change_id="folder")
    for _ in range(2):
        assert await outcome(house, undo) == {"changed": MANY - 1, "left": 1}
    assert [row["label"] for row in await house.rows() if row["label"] is not None] == ["otter"]
    assert (await house.told())["image.unlabelled"] == MANY - 1


async def test_two_replicas_that_are_asked_the_same_at_once_do_it_once(
    house: House, database_url: str, tmp_path: Path
) -> None:
    one, other = await shelved(house, 2)
    replica = House(database_url, tmp_path / "replica", house.store)
    requests = [
        ask(AssignLabel, "request-1", image_id=one, label="otter"),
        ask(GiveOpinion, "request-2", image_id=one, label="lion", by="bob"),
        ask(RequestDoubleCheck, "request-3", image_ids=[one, other], reason="odd"),
        ask(AssignLabels, "request-4", image_ids=[other, one], label="lion"),
        ask(UndoLabels, "request-5", change_id="request-1"),
    ]

    async def insist(place: House, request: Message) -> None:
        for _ in range(4):
            try:
                await place.database.run(lambda unit: perform(unit, request, AT))
            except IntegrityError:
                continue  # the other one was faster; the next attempt is told its outcome
            return
        raise AssertionError("no attempt came through")

    try:
        for request in requests:
            await asyncio.gather(*(insist(place, request) for place in (house, replica) * 3))
    finally:
        replica.close()
    changes = [(r["image_id"], r["revision"], r["label"]) for r in await house.rows(label_change)]
    assert changes == [(one, 1, "otter"), (one, 2, "lion"), (other, 1, "lion")]
    assert [(r["image_id"], r["revision"], r["verdict"]) for r in await house.rows(double_check)] == [
        (one, 1, "relabel"), (other, 1, "relabel"),
    ]  # fmt: skip
    assert len(await house.rows(opinion)) == 1
    told = await house.told()
    assert (told["image.labelled"], told["image.relabelled"], told["image.opinion-given"]) == (2, 1, 1)
    assert (told["image.double-check-requested"], told["image.double-checked"]) == (2, 2)
