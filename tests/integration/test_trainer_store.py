"""The trainer's tables on both databases: versions, final states, what is told once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.commands import RequestTraining
from contracts.events import ModelExported, ModelScored, ModelTrained, TrainFailed
from contracts.values import ObjectRef
from deploy.migrate import upgrade
from services.runtime.database import Database
from services.trainer import store
from services.trainer.store import RunState
from tests.support.colour_library import NOW

pytestmark = pytest.mark.integration

HELD = ObjectRef(bucket="models", key="any", size=1, sha256="0" * 64)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    upgrade("trainer", database_url)
    made = Database(database_url, store.metadata, source="trainer", owner="test")
    yield made
    made.close()


def request_of(run_id: str, base: str = "newest") -> RequestTraining:
    return RequestTraining(run_id=run_id, snapshot_id="s", base=base, by="ann", requested_at=NOW)


def trained_by(run_id: str, **change: Any) -> ModelTrained:
    return ModelTrained.model_validate({
        "run_id": run_id, "model_version": "000", "snapshot_id": "s", "network": "small_cnn",
        "image_size_px": 28, "classes": ("0", "1"), "model": HELD, "dataset": HELD, "history": HELD,
        "images": dict.fromkeys(("train", "validation", "test", "benchmark", "out"), 0), "epochs": 1,
        "best_epoch": 1, "trained_at": NOW,
    } | change)  # fmt: skip


async def begin(database: Database, run_id: str, base: str = "newest") -> tuple[RunState, str | None]:
    return await database.run(lambda unit: store.begin_run(unit, request_of(run_id, base), NOW))


async def train(database: Database, run_id: str, **change: Any) -> str | None:
    _, base = await begin(database, run_id)
    event = trained_by(run_id, base_version=base, **change)
    return await database.run(lambda unit: store.register(unit, event))


async def told(database: Database) -> int:
    table = store.metadata.tables["outbox"]
    count = sa.select(sa.func.count()).select_from(table)
    return await database.read(lambda c: c.execute(count).scalar_one())


async def test_a_run_gets_one_version_and_tells_it_once(database: Database) -> None:
    assert await train(database, "run-one") == "001"
    assert await train(database, "run-one") is None
    assert await train(database, "run-two") == "002"
    assert await begin(database, "run-two") == (RunState.DONE, "001")
    assert await database.read(store.known_versions) == ["002", "001"]
    model = await database.read(lambda c: store.find_model(c, "002"))
    assert model == trained_by("run-two", model_version="002", base_version="001")
    assert await told(database) == 2


async def test_the_base_of_a_run_is_decided_once(database: Database) -> None:
    assert await begin(database, "run-early") == (RunState.RUNNING, None)
    await train(database, "run-one")
    assert await begin(database, "run-early") == (RunState.RUNNING, None)
    assert await begin(database, "run-later") == (RunState.RUNNING, "001")
    assert await begin(database, "run-fresh", "scratch") == (RunState.RUNNING, None)


async def test_the_newest_model_is_never_a_throw_away_one(database: Database) -> None:
    await train(database, "run-one")
    await train(database, "run-two", throw_away=True)
    assert await begin(database, "run-three") == (RunState.RUNNING, "001")
    assert await begin(database, "run-four", "002") == (RunState.RUNNING, "002")


async def test_a_model_knows_the_line_it_comes_from(database: Database) -> None:
    for run_id in ("run-one", "run-two", "run-three"):
        await train(database, run_id)
    line = await database.read(lambda c: store.line_of(c, "003"))
    assert [model.model_version for model in line] == ["003", "002", "001"]
    assert await database.read(lambda c: store.line_of(c, None)) == []
    assert await database.read(lambda c: store.line_of(c, "404")) == []


async def test_a_line_with_a_gap_is_refused_because_what_was_trained_on_is_unknown(
    database: Database,
) -> None:
    for run_id in ("run-one", "run-two", "run-three"):
        await train(database, run_id)
    models = store.metadata.tables["model"]
    gone = sa.delete(models).where(models.c.model_version == "001")
    await database.run(lambda unit: unit.connection.execute(gone))
    with pytest.raises(LookupError, match="model 002 was fine-tuned from 001, whose row is missing"):
        await database.read(lambda c: store.line_of(c, "003"))


async def test_a_failed_run_stays_failed_and_takes_no_version(database: Database) -> None:
    await begin(database, "run-bad")
    failed = TrainFailed(run_id="run-bad", error="no class", remedy="label more", failed_at=NOW)
    for _ in range(2):
        await database.run(lambda unit: store.end_with(unit, failed, RunState.FAILED, NOW))
    assert await train(database, "run-bad") is None
    assert await train(database, "run-good") == "001"
    assert await told(database) == 2


async def test_only_a_newer_evaluation_replaces_the_report(database: Database) -> None:
    await train(database, "run-one")

    async def score(key: str, day: int) -> str:
        report = HELD.model_copy(update={"key": key})
        event = ModelScored.model_validate({
            "request_id": key, "model_version": "001", "threshold": 95, "sets": [], "report": report,
            "gate": {"verdict": "go", "rules": []}, "scores": HELD, "scored_at": NOW.replace(day=day),
        })  # fmt: skip
        await database.run(lambda unit: store.record_report(unit, event))
        found = await database.read(lambda c: store.find_report(c, "001"))
        assert found is not None
        return found.key

    assert await database.read(lambda c: store.find_report(c, "001")) is None
    assert [await score("first", 10), await score("older", 9), await score("newer", 11)] == [
        "first", "first", "newer",
    ]  # fmt: skip


async def test_an_export_is_told_once_per_request(database: Database) -> None:
    await train(database, "run-one")
    for request_id in ("order-1", "order-1", "order-2"):
        exported = ModelExported(
            request_id=request_id, model_version="001", snapshot_id="s", manifest=HELD, model=HELD,
            image_size_px=28, classes=("0", "1"), exported_at=NOW,
        )  # fmt: skip
        await database.run(partial(store.record_export, exported=exported))
    found = await database.read(lambda c: store.find_exports(c, "001"))
    assert sorted(export.request_id for export in found) == ["order-1", "order-2"]
    assert await told(database) == 3
