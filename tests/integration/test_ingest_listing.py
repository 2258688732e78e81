"""Which images a question finds, on SQLite and on PostgreSQL, against the same question in plain Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.migrate import upgrade
from services.ingest.store.biography import biography
from services.ingest.store.descriptions import describe
from services.ingest.store.listing import ImageFilter, matching
from services.runtime.database import make_engine
from tests.support.listed_library import VALUES, Picture, as_filter, expected, fill, merge, picture

pytestmark = pytest.mark.integration

IMAGES = 120


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    upgrade("ingest", database_url)
    engine = make_engine(database_url)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


@pytest.fixture
def pictures(connection: sa.Connection) -> list[Picture]:
    chance = random.Random(7)
    made = [picture(chance, number) for number in range(IMAGES)]
    fill(connection, made)
    merge(connection)
    return made


def found(connection: sa.Connection, asked: dict[str, Any], limit: int = 1000) -> list[str]:
    ids, _ = matching(connection, as_filter(asked), limit, None)
    return ids


def test_each_filter_alone_finds_what_it_says(connection: sa.Connection, pictures: list[Picture]) -> None:
    for name, values in VALUES.items():
        for value in values:
            asked = {name: value}
            assert found(connection, asked) == expected(pictures, asked), asked
        assert any(expected(pictures, {name: value}) for value in values), f"{name} is not tested at all"


def test_filters_combine_with_and(connection: sa.Connection, pictures: list[Picture]) -> None:
    chance = random.Random(11)
    hits = 0
    for _ in range(400):
        names = chance.sample(sorted(VALUES), chance.choice([2, 2, 3, 4]))
        asked = {name: chance.choice(VALUES[name]) for name in names}
        wanted = expected(pictures, asked)
        hits += bool(wanted)
        assert found(connection, asked) == wanted, asked
    assert hits > 100


def test_pages_are_complete_without_repeats_while_images_arrive(
    connection: sa.Connection, pictures: list[Picture]
) -> None:
    for asked in ({}, {"unlabelled": False}, {"flags": VALUES["flags"][2]}, {"double_check": True}):
        before = expected(pictures, asked)
        seen: list[str] = []
        after: str | None = None
        number = 10_000 * (1 + len(pictures))
        while True:
            page, after = matching(connection, as_filter(asked), 7, after)
            seen += page
            if after is None:
                break
            late = [picture(random.Random(number), number + extra) for extra in range(2)]
            fill(connection, late)
            pictures += late
            number += 2
        assert seen == sorted(set(seen))
        assert set(before) <= set(seen) <= set(expected(pictures, asked)), asked


def test_a_full_last_page_names_no_next(connection: sa.Connection, pictures: list[Picture]) -> None:
    ids, following = matching(connection, ImageFilter(), IMAGES, None)
    assert (len(ids), following) == (IMAGES, None)
    ids, following = matching(connection, ImageFilter(), IMAGES - 1, None)
    assert (len(ids), following) == (IMAGES - 1, ids[-1])


def test_what_is_told_of_each_image_is_what_its_rows_say(
    connection: sa.Connection, pictures: list[Picture]
) -> None:
    told = {row["image_id"]: row for row in describe(connection, [one.image_id for one in pictures])}
    assert len(told) == IMAGES
    for one in pictures:
        row = told[one.image_id]
        assert row["label"] == one.row["label"]
        assert row["kind"] == one.row["label_kind"]
        assert [flag["flag"] for flag in row["flags"]] == sorted(one.flags)
        assert (row["double_check"], row["disagreement"]) == (one.double_check, one.disagreed)
        assert (row["tags"], row["file_name"]) == (one.row["tags"] or [], one.upload["file_name"])
        assert row["accepted_at"] == one.row["accepted_at"].isoformat().replace("+00:00", "Z")
        people = {said.by for said in one.opinions} - ({"ada"} if one.row["label"] else set())
        assert row["opinions"] == len(people) + (one.row["label"] is not None)


def test_everything_about_one_image_holds_all_its_uploads(
    connection: sa.Connection, pictures: list[Picture]
) -> None:
    one = next(one for one in pictures if one.repeat and one.double_check and one.row["label"])
    told = biography(connection, one.image_id)
    assert told is not None
    assert one.repeat is not None
    assert {row["upload_id"]: row["state"] for row in told["uploads"]} == {
        one.upload["upload_id"]: "accepted", one.repeat["upload_id"]: "repeated",
    }  # fmt: skip
    assert [(row["from"], row["to"], row["by"]) for row in told["history"]] == [
        (None, one.row["label"], "ada")
    ]
    assert [(row["reason"], row["verdict"]) for row in told["double_checks"]] == [
        ("first look", "keep"), ("look again", None),
    ]  # fmt: skip
    assert told["quality"] == [{"name": "sharpness", "value": 0.5}]
    assert biography(connection, "0" * 64) is None
