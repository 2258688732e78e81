"""Second opinions: kept, told, and where they differ from the label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.commands import AssignLabel, GiveOpinion
from contracts.events import OpinionGiven
from contracts.values import LabelKind
from services.ingest.store.opinions import disagreement_clause, opinion_count
from services.ingest.store.tables import image, opinion
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import House
from tests.support.label_desk import ask, hear, of_kind, outcome, stock

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


async def listed(house: House) -> list[tuple[int, bool]]:
    """How many people said what each image is, and whether they disagree."""
    query = sa.select(opinion_count(), disagreement_clause()).select_from(image).order_by(image.c.image_id)
    rows = await house.database.read(lambda connection: connection.execute(query).all())
    return [(count, bool(disagree)) for count, disagree in rows]


async def test_an_opinion_is_told_and_changes_no_label(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    same = ask(GiveOpinion, "request-1", image_id=image_id, label="otter", by="bob")
    other = ask(GiveOpinion, "request-2", image_id=image_id, label="Random Plant", by="cleo", reason="green")
    for request in (same, other, same, other):
        await hear(house, request)
    first, second = of_kind(await house.said(), OpinionGiven)
    assert (first.revision, first.by, first.agrees, first.current_label) == (1, "bob", True, "otter")
    assert (second.revision, second.label, second.kind, second.agrees, second.reason) == (
        2, "Random Plant", LabelKind.UNKNOWN, False, "green",
    )  # fmt: skip
    assert await house.history() == [(None, "otter")]
    assert await listed(house) == [(3, True)]


async def test_a_persons_newer_opinion_counts_and_the_older_one_stays(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    for number, label in enumerate(["lion", "otter"], start=1):
        await hear(house, ask(GiveOpinion, f"request-{number}", image_id=image_id, label=label, by="bob"))
    assert await listed(house) == [(2, False)]
    assert [row["label"] for row in await house.rows(opinion)] == ["lion", "otter"]


async def test_who_labels_an_image_gave_the_first_opinion(house: House) -> None:
    ids = await stock(house, 2)
    assert await listed(house) == [(0, False)] * 2
    await hear(house, ask(GiveOpinion, "request-1", image_id=ids[0], label="lion", by="bob"))
    assert await listed(house) == [(1, False), (0, False)]
    await hear(house, ask(AssignLabel, "request-2", image_id=ids[0], label="otter"))
    assert await listed(house) == [(2, True), (0, False)]
    # Who sets the label to what they think disagrees with nobody any more.
    await hear(
        house, ask(AssignLabel, "request-3", image_id=ids[0], label="otter", kind=LabelKind.UNKNOWN, by="bob")
    )
    assert await listed(house) == [(1, False), (0, False)]


async def test_the_same_words_of_another_kind_disagree(house: House) -> None:
    [image_id] = await stock(house, 1, label="popcorn")
    said = ask(
        GiveOpinion, "request-1", image_id=image_id, label="popcorn", kind=LabelKind.OUT_OF_SCOPE, by="b"
    )
    assert await outcome(house, said) == {"agrees": False, "current_label": "popcorn"}
    assert await listed(house) == [(2, True)]


async def test_an_opinion_on_an_image_that_nobody_uploaded_is_refused(house: House) -> None:
    with pytest.raises(Unprocessable, match=NOWHERE):
        await hear(house, ask(GiveOpinion, "request-1", image_id=NOWHERE, label="lion"))
