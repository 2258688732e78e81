"""Double-checks: asked for, done by a person or by a new label, and those of a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.commands import AssignLabel, AssignLabels, CloseDoubleCheck, RequestDoubleCheck, UndoLabels
from contracts.events import DoubleChecked, DoubleCheckRequested
from contracts.values import DoubleCheckVerdict, LabelKind
from services.ingest.actions.double_checks import close_split_checks, open_double_checks
from services.ingest.store.double_checks import open_double_check
from services.ingest.store.tables import double_check, image
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import AT, House
from tests.support.label_desk import ask, hear, of_kind, outcome, stock

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


def check(request_id: str, *image_ids: str, **fields: Any) -> RequestDoubleCheck:
    return ask(RequestDoubleCheck, request_id, image_ids=image_ids, **{"reason": "low score", **fields})


async def waiting(house: House) -> list[str | None]:
    """Reason of each image's open double-check."""
    query = sa.select(open_double_check()).select_from(image).order_by(image.c.image_id)
    return await house.database.read(lambda connection: list(connection.scalars(query)))


async def verdicts(house: House) -> list[str | None]:
    return [row["verdict"] for row in await house.rows(double_check)]


async def test_images_are_queued_once_until_somebody_looked(house: House) -> None:
    one, other = await stock(house, 2, label="otter")
    for _ in range(2):
        assert await outcome(house, check("request-1", one)) == {"changed": 1}
    assert await outcome(house, check("request-2", one, other, reason="again")) == {"changed": 1}
    assert await waiting(house) == ["low score", "again"]
    done = ask(CloseDoubleCheck, "request-3", image_ids=[one], by="bob", reason="clearly an otter")
    for _ in range(2):
        assert await outcome(house, done) == {"changed": 1}
    assert await waiting(house) == [None, "again"]
    assert await outcome(house, check("request-4", one)) == {"changed": 1}
    said = await house.said()
    assert [(m.image_id, m.revision) for m in of_kind(said, DoubleCheckRequested)] == [
        (one, 1), (other, 1), (one, 2),
    ]  # fmt: skip
    [checked] = of_kind(said, DoubleChecked)
    assert (checked.image_id, checked.revision, checked.verdict, checked.by) == (
        one, 1, DoubleCheckVerdict.KEEP, "bob",
    )  # fmt: skip
    first = (await house.rows(double_check))[0]
    assert (first["checked_by"], first["verdict_reason"]) == ("bob", "clearly an otter")
    assert await house.history() == [(None, "otter")] * 2


async def test_what_nobody_asked_to_check_can_be_closed_without_effect(house: House) -> None:
    [image_id] = await stock(house, 1)
    assert await outcome(house, ask(CloseDoubleCheck, "request-1", image_ids=[image_id])) == {"changed": 0}
    assert await house.rows(double_check) == []


async def test_an_unsure_person_ends_it_too(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    await hear(
        house,
        check("request-1", image_id),
        ask(CloseDoubleCheck, "request-2", image_ids=[image_id], verdict="unsure"),
    )
    assert await verdicts(house) == ["unsure"]


@pytest.mark.parametrize(
    ("label", "kind", "verdict"),
    [
        ("lion", None, "relabel"),
        ("otter", None, "keep"),
        ("otter", LabelKind.UNKNOWN, "relabel"),
        ("blurred", LabelKind.REJECTED, "remove"),
    ],
)
async def test_a_label_ends_the_double_check(
    house: House, label: str, kind: LabelKind | None, verdict: str
) -> None:
    [image_id] = await stock(house, 1, label="otter")
    await hear(house, check("request-1", image_id))
    fields = {"label": label, "kind": kind, "by": "bob", "reason": "looked"}
    await hear(house, ask(AssignLabel, "request-2", image_id=image_id, **fields))
    [told] = of_kind(await house.said(), DoubleChecked)
    assert (told.verdict, told.by, told.reason) == (verdict, "bob", "looked")
    assert await waiting(house) == [None]


async def test_a_label_for_many_ends_the_double_checks_of_those_that_wait(house: House) -> None:
    ids = await stock(house, 3, label="otter")
    await hear(
        house,
        ask(AssignLabel, "request-1", image_id=ids[0], label="lion"),
        check("request-2", *ids[:2]),
        ask(AssignLabels, "request-3", image_ids=ids, label="lion"),
    )
    assert await verdicts(house) == ["keep", "relabel"]


async def test_an_undo_and_an_uploaders_copy_are_no_second_look(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    await hear(house, check("request-1", image_id), ask(UndoLabels, "request-2", change_id="upload-0000"))
    assert await waiting(house) == ["low score"]


async def test_none_is_queued_when_one_is_unknown(house: House) -> None:
    [image_id] = await stock(house, 1)
    with pytest.raises(Unprocessable, match=NOWHERE):
        await hear(house, check("request-1", image_id, NOWHERE))
    with pytest.raises(Unprocessable, match=NOWHERE):
        await hear(house, ask(CloseDoubleCheck, "request-2", image_ids=[NOWHERE]))
    assert await house.rows(double_check) == []


async def test_an_undone_split_ends_only_what_it_asked_for_and_nobody_did(house: House) -> None:
    ids = await stock(house, 3, label="ape")
    await hear(house, check("request-1", ids[0]))
    opened = await house.database.run(
        lambda unit: open_double_checks(unit, [*ids, NOWHERE], "ann", "split of ape", AT, taxonomy_version=4)
    )
    assert opened == 2
    await hear(house, ask(AssignLabel, "request-2", image_id=ids[1], label="bonobo"))
    for expected in (1, 0):
        closed = await house.database.run(lambda unit: close_split_checks(unit, 4, "ann", AT))
        assert closed == expected
    assert await verdicts(house) == [None, "relabel", "keep"]
    assert await house.database.run(lambda unit: close_split_checks(unit, 5, "ann", AT)) == 0
