"""Runs in hand: live figures, the log in the store, checkpoints, cancelling and pruning, with real children."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from contracts.commands import CancelTraining, RequestTraining
from contracts.events import ModelTrained, SnapshotPacked, TrainCancelled, TrainProgressed, TrialCompleted
from contracts.manifests import DatasetSummary, History
from contracts.message import Message, message_types
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Postponed
from services.runtime.logs import get_log
from services.runtime.objectstore import ObjectStore
from services.trainer import store
from services.trainer.handlers import Canceller, Trainer
from services.trainer.settings import TrainerSettings
from services.trainer.store import Stop, StopKind
from tests.support.colour_library import NOW
from tests.support.digit_library import DigitLibrary
from tests.support.model_services import model_service_settings
from tests.support.probe import until
from tests.support.servers import S3Server
from tests.support.trainer_house import QUICK, training

pytestmark = pytest.mark.integration

PATIENCE_S = 600.0
ENDLESS = QUICK.model_copy(update={"epochs": 1000})
ASKED_AT = datetime(2026, 11, 22, tzinfo=UTC)


class Room:
    """A trainer's handlers on the test's servers, without a broker."""

    def __init__(self, settings: TrainerSettings, objects: ObjectStore, name: str) -> None:
        url = settings.database_url.get_secret_value()
        self.database = Database(url, store.metadata, source="trainer", owner="test")
        self.trainer = Trainer(self.database, settings, get_log("trainer"))
        self.canceller = Canceller(self.database, get_log("trainer"))
        self.objects, self.name, self.progressed = objects, name, 0

    async def packed(self) -> SnapshotPacked:
        packed = DigitLibrary(self.objects, self.name, "01", 20).packed()
        await self.hear_snapshot(packed)
        return packed

    async def hear_snapshot(self, packed: SnapshotPacked) -> None:
        await self.trainer.note_snapshot(self._delivery(packed))

    async def train(self, request: RequestTraining) -> None:
        await self.trainer.train(self._delivery(request))

    async def cancel(self, run_id: str) -> None:
        asked = CancelTraining(
            request_id="cancel-1", run_id=run_id, by="ann", reason="wrong photos", requested_at=NOW
        )
        await self.canceller.handle(self._delivery(asked))

    async def told(self) -> list[Message]:
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda c: c.execute(query).all())
        return [message_types()[row.subject].model_validate_json(row.body) for row in rows]

    async def has_told(self, kind: type[Message]) -> bool:
        return any(isinstance(message, kind) for message in await self.told())

    def log(self, run_id: str) -> str:
        return b"".join(self.objects.stream("models", f"runs/{run_id}/log.txt")).decode()

    def objects_of(self, run_id: str, under: str) -> list[str]:
        return list(self.objects.list("models", f"runs/{run_id}/{under}"))

    def _delivery(self, message: Any) -> Delivery[Any]:
        async def progressed() -> None:
            self.progressed += 1

        return Delivery(message, "ANY", 1, 1, NOW, message.message_id(), progressed)


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    values = model_service_settings("trainer", weed, f"sqlite:///{tmp_path}/t.sqlite", tmp_path / "work")
    quick = {
        "stop_check_s": 0.1, "log_part_every_s": 0.2, "cost_per_hour": 3600.0, "training_threads": 1,
        "checkpoint_every_s": 0.0, "checkpoint_store_every_s": 0.2,
    }  # fmt: skip
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    made = Room(TrainerSettings(**(values | quick)), weed.store(), name)
    yield made
    made.database.close()


@asynccontextmanager
async def under_way(room: Room, asked: RequestTraining) -> AsyncIterator[asyncio.Task[None]]:
    """The run once its first epoch is told."""
    run = asyncio.create_task(room.train(asked))

    async def begun() -> bool:
        return run.done() or await room.has_told(TrainProgressed)

    try:
        await until(begun, PATIENCE_S)
        yield run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def so(condition: Callable[[], bool]) -> None:
    """Poll a plain condition."""

    async def met() -> bool:
        return condition()

    await until(met, PATIENCE_S)


async def test_a_cancelled_run_stops_is_told_once_and_leaves_its_log(room: Room) -> None:
    asked = training("run-1", await room.packed(), options=ENDLESS)
    async with under_way(room, asked) as run:
        await so(lambda: bool(room.objects_of("run-1", "log/")))
        await so(lambda: any(key.endswith("newest.json") for key in room.objects_of("run-1", "checkpoint/")))
        with pytest.raises(Postponed, match="another trainer works on run run-1"):
            await room.train(asked)  # a redelivery, to any trainer
        await room.cancel("run-1")
        await asyncio.wait_for(run, PATIENCE_S)
    *epochs, cancelled = await room.told()
    assert isinstance(cancelled, TrainCancelled)
    assert (cancelled.by, cancelled.reason) == ("ann", "wrong photos")
    assert {type(epoch) for epoch in epochs} == {TrainProgressed}
    assert cancelled.epochs == len(epochs)
    await room.cancel("run-1")
    await room.train(asked)  # a redelivery
    assert len(await room.told()) == len(epochs) + 1
    log = room.log("run-1")
    assert "told to stop" in log
    assert "data set: 44 images, 2 classes" in log
    assert not room.objects_of("run-1", "log/")
    assert not room.objects_of("run-1", "checkpoint/")
    assert room.progressed > 0
    live = epochs[0]
    assert isinstance(live, TrainProgressed)
    assert live.learning_rate == pytest.approx(3e-3)
    assert live.data_wait_share is not None
    assert live.cpu_share is not None
    assert live.cost is not None
    assert live.cost_estimate is not None
    assert 0 < live.cost < live.cost_estimate


async def test_a_pruned_trial_tells_its_curve_so_far_and_a_whole_run_its_curves(room: Room) -> None:
    packed = await room.packed()
    asked = training("run-1", packed, options=ENDLESS, trial=True, search_id="search-1", trial_number=4)
    async with under_way(room, asked) as run:
        stop = Stop("run-1", StopKind.PRUNED, "search-1", None, ASKED_AT)
        await room.database.run(lambda unit: store.ask_to_stop(unit, stop))
        await asyncio.wait_for(run, PATIENCE_S)
    *epochs, pruned = await room.told()
    assert isinstance(pruned, TrialCompleted)
    assert (pruned.pruned, pruned.search_id, pruned.trial_number) == (True, "search-1", 4)
    history = History.model_validate_json(room.objects.get(pruned.history))
    assert len(history.epochs) == pruned.epochs >= len(epochs)

    await room.train(training("run-2", packed))
    trained = (await room.told())[-1]
    assert isinstance(trained, ModelTrained)
    assert trained.summary is not None
    assert trained.curves is not None
    assert trained.log is not None
    assert trained.seconds is not None
    assert trained.cost == pytest.approx(trained.seconds, rel=0.01)
    with Image.open(io.BytesIO(room.objects.get(trained.curves))) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 400))
    summary = DatasetSummary.model_validate_json(room.objects.get(trained.summary))
    assert summary.trained_classes == 2
    log = room.objects.get(trained.log).decode()
    assert "epoch 2 of 2: loss" in log
    assert "kept epoch" in log
