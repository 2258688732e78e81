"""Verdicts on real tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.events import ImageDeduplicated
from contracts.values import DuplicateVerdict
from services.ingest.domain.faults import ImageNotYetKnown
from tests.support.ingest_house import AT, House, deliveries
from tests.support.label_desk import stock

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


def verdict(image_id: str, revision: int = 1, near: str | None = None) -> ImageDeduplicated:
    return ImageDeduplicated(
        image_id=image_id, revision=revision, group=near or image_id, duplicate_of=near, detector="test",
        verdict=DuplicateVerdict.NEAR if near else DuplicateVerdict.UNIQUE, deduplicated_at=AT,
    )  # fmt: skip


async def test_the_verdict_of_the_highest_revision_stays_in_any_order(house: House) -> None:
    one, other = await stock(house, 2)
    told = [verdict(one, 1), verdict(one, 2, other), verdict(one, 3), verdict(one, 4, other), verdict(other)]
    chance = random.Random(7)
    for _ in range(6):
        await house.handlers.verdicts(deliveries(chance.choices(told, k=3)))
    await house.handlers.verdicts(deliveries(chance.sample(told, 5)))
    rows = await house.rows()
    assert [(row["verdict"], row["verdict_revision"], row["duplicate_of"]) for row in rows] == [
        ("near", 4, other), ("unique", 1, None),
    ]  # fmt: skip


async def test_a_verdict_before_its_image_is_tried_again(house: House) -> None:
    with pytest.raises(ImageNotYetKnown, match=NOWHERE):
        await house.handlers.verdicts(deliveries([verdict(NOWHERE)]))
