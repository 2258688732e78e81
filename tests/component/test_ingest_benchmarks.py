"""Benchmark sets: one per image, moved by people, named by uploaders, with their history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.commands import AssignBenchmark
from contracts.events import BenchmarkAssigned, ImageAccepted
from services.ingest.store.benchmarks import benchmark_sets
from services.ingest.store.tables import benchmark_change
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import House
from tests.support.label_desk import ask, hear, of_kind, outcome, stock
from tests.support.pictures import encoded, noise

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


async def members(house: House) -> list[tuple[str | None, int]]:
    return [(row["benchmark"], row["benchmark_revision"]) for row in await house.rows()]


async def told(house: House) -> list[tuple[str | None, str | None, int]]:
    moved = of_kind(await house.said(), BenchmarkAssigned)
    return [(message.previous_benchmark, message.benchmark, message.revision) for message in moved]


async def test_an_image_is_in_one_set_and_every_move_is_kept(house: House) -> None:
    [image_id] = await stock(house, 1)
    for number, name in enumerate(["difficult", "night\0 shots", "night\0 shots", None]):
        request = ask(AssignBenchmark, f"request-{number}", image_ids=[image_id], benchmark=name, reason="r")
        first = await outcome(house, request)
        assert await outcome(house, request) == first == {"changed": int(number != 2)}
    own = "night\N{REPLACEMENT CHARACTER} shots"
    assert await told(house) == [(None, "difficult", 1), ("difficult", own, 2), (own, None, 3)]
    assert await members(house) == [(None, 3)]
    kept = await house.rows(benchmark_change)
    assert [(row["previous_benchmark"], row["benchmark"], row["revision"]) for row in kept] == await told(
        house
    )
    assert {(row["changed_by"], row["reason"]) for row in kept} == {("ann", "r")}


async def test_many_images_join_or_none_does(house: House) -> None:
    ids = await stock(house, 3)
    with pytest.raises(Unprocessable, match=NOWHERE):
        await hear(house, ask(AssignBenchmark, "request-1", image_ids=[*ids, NOWHERE], benchmark="difficult"))
    assert await members(house) == [(None, 0)] * 3
    await hear(house, ask(AssignBenchmark, "request-2", image_ids=ids[1:], benchmark="difficult"))
    request = ask(AssignBenchmark, "request-3", image_ids=[*ids, *ids], benchmark="difficult")
    assert await outcome(house, request) == {"changed": 1}
    assert await members(house) == [("difficult", 1)] * 3


async def test_the_set_that_an_uploader_names_begins_the_history(house: House) -> None:
    ids = await stock(house, 1, benchmark=" difficult ", uploaded_by="zoo app")
    [accepted] = of_kind(await house.said(), ImageAccepted)
    assert accepted.benchmark == "difficult"
    assert await members(house) == [("difficult", 1)]
    [row] = await house.rows(benchmark_change)
    assert (row["previous_benchmark"], row["benchmark"], row["changed_by"]) == (None, "difficult", "zoo app")
    await hear(house, ask(AssignBenchmark, "request-1", image_ids=ids, benchmark="most-common"))
    assert await told(house) == [(None, "difficult", 1), ("difficult", "most-common", 2)]


async def test_a_copy_may_name_the_first_set_but_moves_no_image(house: House) -> None:
    data = encoded(noise(9, 9, 0))
    await house.take(house.put("upload-0001", data, benchmark="  "))
    assert await members(house) == [(None, 0)]
    await house.take(
        house.put("upload-0002", data, benchmark="difficult"),
        house.put("upload-0003", data, benchmark="out-of-scope"),
    )
    assert await members(house) == [("difficult", 1)]
    image_id = house.put("upload-0004", data).object.sha256
    await hear(house, ask(AssignBenchmark, "request-1", image_ids=[image_id], benchmark=None))
    await house.take(house.put("upload-0004", data, benchmark="difficult"))
    assert await members(house) == [(None, 2)]
    assert await told(house) == [(None, "difficult", 1), ("difficult", None, 2)]


async def test_the_standard_sets_are_listed_first_with_their_sizes(house: House) -> None:
    ids = await stock(house, 4, label="otter")
    for name, chosen in (("Zebras at night", ids[:1]), ("difficult", ids[1:3]), ("Apes", ids[3:])):
        request = ask(AssignBenchmark, f"join-{chosen[0][:9]}", image_ids=chosen, benchmark=name)
        await hear(house, request)
    found = await house.database.read(benchmark_sets)
    assert [(item.benchmark, item.images, item.labels) for item in found] == [
        ("difficult", 2, 1), ("out-of-scope", 0, 0), ("most-common", 0, 0), ("least-common", 0, 0),
        ("Apes", 1, 1), ("Zebras at night", 1, 1),
    ]  # fmt: skip
