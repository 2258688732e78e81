"""Dedup's tables, index and rule together, on SQLite in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from services.dedup.domain.groups import RankedImage
from services.dedup.store import Fingerprints, Registered, fingerprint_table, metadata, verdict_table
from services.runtime.database import Unit
from tests.support.libraries import MAX_DISTANCE_BITS, image, judged_from_scratch, libraries

AT = datetime(2026, 11, 21, tzinfo=UTC)
OUTBOX = metadata.tables["outbox"]


@contextmanager
def empty_database() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    with empty_database() as made:
        yield made


def register(engine: sa.Engine, fingerprints: Fingerprints, images: list[RankedImage]) -> Registered:
    with engine.begin() as connection:
        unit = Unit(connection, "dedup")
        done = fingerprints.register(unit, images, AT)
        unit.flush(metadata, "test")
    return done


def recalibrate(engine: sa.Engine, max_distance_bits: int) -> Registered:
    with engine.begin() as connection:
        unit = Unit(connection, "dedup")
        done = Fingerprints(max_distance_bits).recalibrate(unit, AT)
        unit.flush(metadata, "test")
    return done


def verdicts(engine: sa.Engine) -> dict[str, tuple[str, str, str | None, int | None]]:
    columns = verdict_table.c
    query = sa.select(
        columns.image_id, columns.verdict, columns.group_id, columns.duplicate_of, columns.distance_bits
    )
    with engine.connect() as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(query)}


def expected(
    library: list[RankedImage], max_distance_bits: int = MAX_DISTANCE_BITS
) -> dict[str, tuple[str, str, str | None, int | None]]:
    return {
        image_id: (j.verdict.value, j.group, j.duplicate_of, j.distance_bits)
        for image_id, j in judged_from_scratch(library, max_distance_bits).items()
    }


def said(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(OUTBOX.c.message_id)))


@given(libraries(16).flatmap(st.permutations), st.integers(1, 5), st.data())
def test_any_order_repeats_batches_and_restarts_end_in_the_same_rows(
    arriving: list[RankedImage], batch: int, data: st.DataObject
) -> None:
    with empty_database() as engine:
        fingerprints = Fingerprints(MAX_DISTANCE_BITS)
        for start in range(0, len(arriving), batch):
            again = data.draw(st.lists(st.sampled_from(arriving[: start + batch]), max_size=2))
            register(engine, fingerprints, list(dict.fromkeys(arriving[start : start + batch] + again)))
            if data.draw(st.booleans()):
                fingerprints = Fingerprints(MAX_DISTANCE_BITS)  # as after a restart
        assert verdicts(engine) == expected(arriving)


@given(libraries(12), st.integers(0, 4), st.integers(0, 4))
def test_a_changed_distance_is_applied_to_all_that_is_stored(
    library: list[RankedImage], before: int, after: int
) -> None:
    with empty_database() as engine:
        recalibrate(engine, before)
        register(engine, Fingerprints(before), library)
        recalibrate(engine, after)
        assert verdicts(engine) == expected(library, after)
        assert recalibrate(engine, after) == Registered(0, 0, 0)


def test_every_new_image_gets_exactly_one_first_verdict(engine: sa.Engine) -> None:
    library = [image(n, n % 3) for n in range(20)]
    assert register(engine, Fingerprints(0), library).new == 20
    assert len(said(engine)) == 20


def test_a_repeated_batch_changes_and_says_nothing(engine: sa.Engine) -> None:
    fingerprints = Fingerprints(MAX_DISTANCE_BITS)
    library = [image(n, n) for n in range(10)]
    register(engine, fingerprints, library)
    before, messages = verdicts(engine), said(engine)
    assert register(engine, fingerprints, library) == Registered(0, 0, 0)
    assert (verdicts(engine), said(engine)) == (before, messages)


def test_a_late_early_upload_revises_the_verdicts_it_changes(engine: sa.Engine) -> None:
    fingerprints = Fingerprints(MAX_DISTANCE_BITS)
    bystander, late = image(1, 0b1111111), image(3, 0b1)
    register(engine, fingerprints, [bystander, late])
    done = register(engine, fingerprints, [image(2, 0b1)])
    assert (done.new, done.revised) == (1, 1)
    with engine.connect() as connection:
        revision = sa.select(verdict_table.c.revision).where(verdict_table.c.image_id == late.image_id)
        assert connection.scalar(revision) == 2
    assert verdicts(engine)[late.image_id] == ("near", image(2, 0b1).image_id, image(2, 0b1).image_id, 0)


def test_a_rolled_back_batch_leaves_no_trace_in_the_index(engine: sa.Engine) -> None:
    fingerprints = Fingerprints(MAX_DISTANCE_BITS)
    with engine.connect() as connection:
        fingerprints.register(Unit(connection, "dedup"), [image(1, 0)], AT)
        connection.rollback()
    register(engine, fingerprints, [image(2, 0)])
    assert verdicts(engine) == expected([image(2, 0)])


def test_a_writer_that_missed_another_one_s_commit_catches_up(engine: sa.Engine) -> None:
    one, other = Fingerprints(MAX_DISTANCE_BITS), Fingerprints(MAX_DISTANCE_BITS)
    register(engine, one, [image(1, 0)])
    register(engine, other, [image(2, 0)])
    register(engine, one, [image(3, 0)])
    assert verdicts(engine) == expected([image(1, 0), image(2, 0), image(3, 0)])


def test_two_writers_cannot_take_the_same_place(engine: sa.Engine) -> None:
    register(engine, Fingerprints(MAX_DISTANCE_BITS), [image(1, 0)])
    row = {"image_id": "f" * 64, "position": 1, "rank": "x", "hash": None, "detector": "d"}
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(fingerprint_table), [row])


def test_images_without_a_hash_keep_their_place_over_a_restart(engine: sa.Engine) -> None:
    register(engine, Fingerprints(MAX_DISTANCE_BITS), [image(1, None), image(2, 0), image(3, None)])
    register(engine, Fingerprints(MAX_DISTANCE_BITS), [image(4, 0)])
    assert verdicts(engine) == expected([image(1, None), image(2, 0), image(3, None), image(4, 0)])


def test_the_widest_neighbourhood_is_reported(engine: sa.Engine) -> None:
    done = register(engine, Fingerprints(MAX_DISTANCE_BITS), [image(n, 0) for n in range(30)])
    assert done.widest == 29
