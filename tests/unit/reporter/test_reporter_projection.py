"""Projections: any order, any number of times, the same tables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from contracts.commands import RequestTraining
from contracts.events import (
    BenchmarkAssigned,
    ImageAccepted,
    ImageDeduplicated,
    ImageLabelled,
    ImageUnlabelled,
    PairJudged,
    TrainProgressed,
)
from contracts.message import Message
from contracts.subjects import CONSUMERS
from services.reporter.domain.changes import Folded, Unprojectable, fold, plain
from services.reporter.domain.projection import PROJECTIONS, project, project_all
from services.reporter.store.tables import PROJECTED, metadata
from services.reporter.store.writing import write
from services.runtime.database import make_engine
from tests.support.reporter_events import BOX, REF, histories
from tests.support.reporter_story import NOON, Story, shuffled_with_repeats, stored

Pairs = list[tuple[Message, int]]
IMAGE = "a" * 64


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    engine = make_engine("sqlite://")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def content(engine: sa.Engine, pairs: Pairs, batch: int) -> dict[str, list[tuple[Any, ...]]]:
    """Every table after writing ``pairs`` into empty ones; nothing of it stays."""
    with engine.connect() as connection, connection.begin() as transaction:
        for start in range(0, len(pairs), batch):
            write(connection, project_all(pairs[start : start + batch]))
        tables = {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in PROJECTED
        }
        transaction.rollback()
    return tables


def row(engine: sa.Engine, table: str, *pairs: tuple[Message, int]) -> dict[str, Any]:
    with engine.connect() as connection, connection.begin() as transaction:
        for pair in pairs:
            write(connection, project_all([pair]))
        found = dict(connection.execute(sa.select(metadata.tables[table])).mappings().one())
        transaction.rollback()
    return found


def reordered(history: Pairs, data: st.DataObject) -> Pairs:
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    return data.draw(st.permutations(history + repeats))


@given(history=histories(), data=st.data())
def test_events_in_any_order_with_repeats_fold_to_the_same_rows(history: Pairs, data: st.DataObject) -> None:
    def rows(folded: Folded) -> dict[Any, Any]:
        return {part: {key: change.row() for key, change in rows.items()} for part, rows in folded.items()}

    assert rows(fold(project_all(reordered(history, data)))) == rows(fold(project_all(history)))


@given(history=histories(), data=st.data(), batch=st.integers(1, 12))
def test_events_in_any_order_with_repeats_and_in_any_batches_give_equal_tables(
    engine: sa.Engine, history: Pairs, data: st.DataObject, batch: int
) -> None:
    assert content(engine, reordered(history, data), batch) == content(engine, history, 256)


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_life_in_any_order_gives_equal_tables(engine: sa.Engine, seed: int) -> None:
    pairs = stored(Story(images=6).tell())
    assert content(engine, list(shuffled_with_repeats(pairs, seed)), 64) == content(engine, pairs, 256)


def test_every_message_the_reporter_hears_has_a_projection() -> None:
    heard = {name for consumer in CONSUMERS if consumer.service == "reporter" for name in consumer.names}
    assert heard == {kind.name for kind in PROJECTIONS}


def accepted(seq: int) -> tuple[Message, int]:
    return ImageAccepted(
        image_id=IMAGE,
        upload_id="upload-001",
        file_name="a.png",
        original=REF,
        normalised=REF,
        thumbnail=REF,
        content=BOX,
        width_px=1,
        height_px=1,
        image_format="PNG",
        source="real",
        accepted_at=NOON,
    ), seq


def labelled(label: str, revision: int, seq: int) -> tuple[Message, int]:
    return ImageLabelled(
        image_id=IMAGE, revision=revision, label=label, kind="class", by="ann", labelled_at=NOON
    ), seq


def test_a_verdict_before_its_image_waits_in_a_partial_row(engine: sa.Engine) -> None:
    verdict = ImageDeduplicated(
        image_id=IMAGE,
        revision=1,
        verdict="near",
        group=IMAGE,
        distance_bits=3,
        detector="phash",
        deduplicated_at=NOON,
    )
    alone = row(engine, "dim_images", (verdict, 1))
    assert (alone["verdict"], alone["accepted_at"]) == ("near", None)
    both = row(engine, "dim_images", (verdict, 1), accepted(2))
    assert (both["verdict"], both["file_name"]) == ("near", "a.png")


def test_the_newest_judgement_of_a_pair_stands_whatever_came_last(engine: sa.Engine) -> None:
    def judged(state: str, revision: int, seq: int) -> tuple[Message, int]:
        return PairJudged(
            image_id=IMAGE, other_id="b" * 64, revision=revision, state=state, detector="phash",
            suggested_keep=IMAGE, judged_at=NOON,
        ), seq  # fmt: skip

    late = row(engine, "dim_duplicate_pairs", judged("not-duplicate", 2, seq=1), judged("review", 1, seq=2))
    assert (late["state"], late["revision"]) == ("not-duplicate", 2)


def test_the_highest_revision_of_a_label_stands_whatever_came_last(engine: sa.Engine) -> None:
    late = row(engine, "dim_images", labelled("otter", 2, seq=1), labelled("beaver", 1, seq=2))
    assert late["label"] == "otter"


def test_an_undone_first_label_leaves_no_label_whatever_came_last(engine: sa.Engine) -> None:
    undone = ImageUnlabelled(image_id=IMAGE, revision=2, previous_label="otter", by="ann", unlabelled_at=NOON)
    late = row(engine, "dim_images", (undone, 1), labelled("otter", 1, seq=2))
    assert (late["label"], late["label_kind"], late["label_revision"]) == (None, None, 2)


def test_an_assigned_benchmark_outranks_the_uploaders(engine: sa.Engine) -> None:
    left = BenchmarkAssigned(image_id=IMAGE, revision=1, benchmark=None, by="ann", assigned_at=NOON)
    assert row(engine, "dim_images", (left, 1), accepted(2))["benchmark"] is None


def test_an_epoch_said_again_after_a_crash_takes_the_place_of_the_first(engine: sa.Engine) -> None:
    def epoch(loss: float) -> TrainProgressed:
        return TrainProgressed(
            run_id="run-1",
            epoch=1,
            epochs=2,
            loss=loss,
            accuracy=0.5,
            images_per_s=1.0,
            eta_s=1.0,
            progressed_at=NOON,
        )

    assert row(engine, "fct_train_epochs", (epoch(0.1), 9), (epoch(0.7), 4))["loss"] == 0.1


def test_a_number_that_is_none_is_stored_as_missing(engine: sa.Engine) -> None:
    event = TrainProgressed(
        run_id="run-1",
        epoch=1,
        epochs=2,
        loss=math.nan,
        accuracy=0.5,
        val_loss=math.inf,
        images_per_s=1.0,
        eta_s=1.0,
        progressed_at=NOON,
    )
    stored_row = row(engine, "fct_train_epochs", (event, 1))
    assert (stored_row["loss"], stored_row["validation_loss"]) == (None, None)


def test_text_keeps_all_but_what_a_database_refuses() -> None:
    assert plain("a\x00b🦊<script>\u202e", "label") == "a\N{SYMBOL FOR NULL}b🦊<script>\u202e"
    assert plain("lone \ud800", "label") == "lone ?"
    assert plain({"k\x00": ["\x00"]}, "headers") == {"k␀": ["␀"]}


def test_dates_are_stored_in_utc() -> None:
    given_time = datetime(2026, 11, 21, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert plain(given_time, "taken_at") == datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width_px": 2**63}, "width_px"),
        ({"taken_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}, "taken_at"),
    ],
)
def test_a_value_that_no_column_takes_is_named(change: dict[str, Any], named: str) -> None:
    message, seq = accepted(1)
    with pytest.raises(Unprojectable, match=named):
        project(message.model_copy(update=change), seq)


def test_a_key_that_no_index_takes_is_refused() -> None:
    request = RequestTraining(run_id="run-1", snapshot_id="s", by="ann", requested_at=NOON)
    with pytest.raises(Unprojectable, match="run_id has 201 characters"):
        project(request.model_copy(update={"run_id": "r" * 201}), 1)
