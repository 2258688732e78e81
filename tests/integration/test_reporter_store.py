"""The reporting store on SQLite and on PostgreSQL: writing, paging, views, migration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from contracts.message import Message
from deploy.migrate import config_for, upgrade
from services.reporter.store import bulk, library, models
from services.reporter.store.digests import clear, digests, lock
from services.reporter.store.library import ImageFilter
from services.reporter.store.tables import PROJECTED, metadata
from services.reporter.store.views import CREATED, create_views
from services.runtime.database import Database, Unit
from tests.support.reporter_house import address_of, migrated
from tests.support.reporter_story import (
    HOSTILE_LABEL,
    HOSTILE_NAME,
    Story,
    project_into,
    shuffled_with_repeats,
    stored,
)

pytestmark = pytest.mark.integration

Pairs = list[tuple[Message, int]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def migrated_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    database = migrated(address_of(request.param, request, tmp_path_factory.mktemp("store")))
    yield database
    database.close()


@pytest.fixture
async def database(migrated_database: Database) -> Database:
    """Empty: migrating once for all tests saves most of their time."""
    await migrated_database.run(lambda unit: clear(unit.connection))
    return migrated_database


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return stored(Story(images=8).tell())


async def test_any_order_with_repeats_gives_equal_digests(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    straight = await database.read(digests)
    await database.run(lambda unit: clear(unit.connection))
    assert all(digest.rows == 0 for digest in (await database.read(digests)).values())
    await project_into(database, list(shuffled_with_repeats(pairs, seed=1)), batch=33)
    assert await database.read(digests) == straight
    assert all(digest.rows for digest in straight.values())


async def test_a_digest_tells_one_changed_value(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    before = await database.read(digests)
    table = metadata.tables["dim_models"]
    await database.run(
        lambda unit: unit.connection.execute(sa.update(table).values(network="another")).close()
    )
    after = await database.read(digests)
    assert [name for name in before if before[name] != after[name]] == ["dim_models"]


async def test_the_tables_can_be_locked_against_writers(database: Database) -> None:
    await database.run(lambda unit: lock(unit.connection))


async def test_every_figure_adds_up(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    summary = await database.read(bulk.summary)
    images = summary["images"]
    assert images["uploaded"] == images["accepted"] + images["exact_duplicates"] + images["rejected"]
    assert images["accepted"] == images["labelled"] + images["unlabelled"]
    assert images["accepted"] == images["unique"] + images["near_duplicates"] + images["bursts"]
    assert (images["bursts"], images["pairs_in_review"]) == (1, 1)
    assert images["rejected"] == 5
    assert [(m["version"], m["state"], m["gate"], m["test_accuracy"]) for m in summary["models"]] == [
        ("001", "scored", "no-go", 0.951),
        ("002", "exported", "go", 0.974),
    ]
    assert summary["bulk"]["identified"] == images["unlabelled"]
    assert summary["dead_letters"] == 1
    assert len(summary["snapshots"]) == 2


async def test_pages_hold_every_image_once(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    seen: list[str] = []
    after: str | None = None
    while True:
        found, after = await database.read(lambda c, at=after: library.images(c, ImageFilter(), 7, at))
        seen += [image["image_id"] for image in found]
        if after is None:
            break
    table = metadata.tables["dim_images"]
    total = await database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(table)))
    assert len(seen) == len(set(seen)) == total


async def test_pages_of_identifications_and_letters_end(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    first, after = await database.read(lambda c: bulk.identifications(c, "002", None, 2, None))
    rest, end = await database.read(lambda c: bulk.identifications(c, "002", None, 1000, after))
    run = await database.read(lambda c: bulk.bulk_run(c, "bulk-002"))
    assert run is not None
    assert end is None
    assert len(first) + len(rest) == run["identified"]
    assert {row["is_above_threshold"] for row in first + rest} <= {True, False}
    letters, end = await database.read(lambda c: bulk.dead_letters(c, 10, None))
    assert (len(letters), end) == (1, None)
    letter = await database.read(lambda c: bulk.dead_letter(c, letters[0]["dead_letter_id"]))
    assert letter is not None
    assert letter["body_base64"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ImageFilter(label=HOSTILE_LABEL), {HOSTILE_NAME}),
        (ImageFilter(file="<B>EVIL</b>'"), {HOSTILE_NAME}),
        (ImageFilter(file="%"), set()),
        (ImageFilter(label="seven", file="one/"), {"one/00001.png"}),
        (ImageFilter(benchmark="difficult"), set()),
    ],
)
async def test_images_are_found_by_exact_values(
    database: Database, pairs: Pairs, wanted: ImageFilter, names: set[str]
) -> None:
    await project_into(database, pairs)
    found, _ = await database.read(lambda c: library.images(c, wanted, 100, None))
    assert {image["file_name"] for image in found} == names


async def test_unlabelled_and_verdict_split_the_library(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)

    async def count(**wanted: Any) -> int:
        return len((await database.read(lambda c: library.images(c, ImageFilter(**wanted), 1000, None)))[0])

    assert await count(unlabelled=True) + await count(unlabelled=False) == await count()
    verdicts = [await count(verdict=verdict) for verdict in ("near", "unique", "burst")]
    assert sum(verdicts) == await count()
    assert all(verdicts)


async def test_a_run_under_way_shows_its_epochs(database: Database) -> None:
    story = Story()
    story.run("under-way", "snapshot-1", base="scratch", epochs=9, best=0.9, pace=2.0, until=4)
    await project_into(database, stored(story.messages[1:]))  # its request is still on the way
    run = await database.read(lambda c: models.run(c, "under-way"))
    assert run is not None
    assert (run["state"], run["request"], len(run["epochs"])) == ("running", None, 4)
    assert [found["run_id"] for found in await database.read(lambda c: models.newest_runs(c, 3))] == [
        "under-way"
    ]
    assert await database.read(lambda c: models.run(c, "never-heard-of")) is None


async def test_a_class_shows_samples_of_its_own(database: Database, pairs: Pairs) -> None:
    await project_into(database, pairs)
    samples = await database.read(lambda c: library.samples(c, ["zero", HOSTILE_LABEL]))
    assert (len(samples["zero"]), len(samples[HOSTILE_LABEL])) == (4, 1)


async def test_the_migration_makes_what_the_code_expects(database: Database) -> None:
    def by_code(unit: Unit) -> dict[str, list[str]]:
        made = columns(unit.connection)
        create_views(unit.connection)
        assert columns(unit.connection) == made
        return made

    made = await database.run(by_code)
    expected = {table.name: [column.name for column in table.c] for table in (*PROJECTED, *CREATED)}
    assert {name: made[name] for name in expected} == expected


def test_a_verdict_of_the_release_before_stands_as_a_rebuild_would_write_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/before.sqlite"
    command.upgrade(config_for("reporter", url), "0002")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO dim_images (image_id, verdict, verdict_event_seq) VALUES ('a', 'near', 7)")
        )
        connection.execute(sa.text("INSERT INTO dim_images (image_id, accepted_event_seq) VALUES ('b', 8)"))
    upgrade("reporter", url)
    with engine.connect() as connection:
        turned = connection.execute(sa.text("SELECT image_id, orientation FROM dim_images ORDER BY 1")).all()
    engine.dispose()
    assert [tuple(row) for row in turned] == [("a", "same"), ("b", None)]


def columns(connection: sa.Connection) -> dict[str, list[str]]:
    inspector = sa.inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    return {name: [column["name"] for column in inspector.get_columns(name)] for name in names}
