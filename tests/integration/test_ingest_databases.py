"""Ingest's promises on SQLite and on PostgreSQL, with the tables that the migrations make."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.migrate import upgrade
from services.ingest.store import images as library
from tests.support.ingest_house import House
from tests.support.ingest_stories import (
    FILES,
    Shipment,
    announce,
    check_exactly_one_outcome,
    deliver_at_random,
    two_replicas_take_the_same_uploads,
)
from tests.support.pictures import HOSTILE_NAMES, encoded, noise

pytestmark = pytest.mark.integration


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    upgrade("ingest", database_url)
    made = House(database_url, tmp_path / "work")
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(4))
async def test_redelivery_reordering_and_crashes_change_no_count(house: House, seed: int) -> None:
    chance = random.Random(seed)
    uploads = [(name, chance.choice([None, "otter"])) for name in chance.choices(sorted(FILES), k=8)]
    commits = [frozenset(chance.sample(range(1, 9), 3)) for _ in range(2)]
    shipment = Shipment(uploads, seed, *commits)
    messages = announce(house, shipment)
    await deliver_at_random(house, messages, shipment)
    await check_exactly_one_outcome(house, messages, shipment)


async def test_two_replicas_agree(house: House, database_url: str, tmp_path: Path) -> None:
    other = House(database_url, tmp_path / "other", house.store)
    try:
        await two_replicas_take_the_same_uploads(house, other)
    finally:
        other.close()


async def test_the_loser_of_a_race_for_the_same_pixels_settles_as_a_repeat(
    house: House, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = House(database_url, tmp_path / "other", house.store)
    winner, loser = house.put("upload-0002", FILES["a.bmp"][0]), house.put("upload-0001", FILES["a.png"][0])
    read = library.images_by_pixels
    stale: list[dict[str, str]] = [{}]  # what this replica saw before the other one committed
    try:
        await other.take(winner)
        monkeypatch.setattr(library, "images_by_pixels", lambda *args: stale.pop() if stale else read(*args))
        await house.take(loser)
    finally:
        other.close()
    assert stale == []
    assert await house.outcomes() == {"upload-0001": "repeated", "upload-0002": "accepted"}


async def test_hostile_text_is_stored(house: House) -> None:
    for number, name in enumerate(HOSTILE_NAMES):
        text = name[:200].strip() or "none"
        await house.take(
            house.put(
                f"hostile-{number:04d}", encoded(noise(9, 9, number)), file_name=name, label=text, guest=text
            )
        )
    assert (await house.told())["image.accepted"] == len(HOSTILE_NAMES)
