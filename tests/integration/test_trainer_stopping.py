"""Runs in hand: live figures, the log in the store, checkpoints, cancelling and pruning, with real children."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from contracts.events import ModelTrained, TrainCancelled, TrainProgressed, TrialCompleted
from contracts.manifests import DatasetSummary, History
from services.runtime.delivery import Postponed
from services.trainer import store
from services.trainer.settings import TrainerSettings
from services.trainer.store import Stop, StopKind
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server
from tests.support.trainer_house import QUICK, training
from tests.support.trainer_room import PATIENCE_S, TrainerRoom, so, under_way

pytestmark = [pytest.mark.integration, pytest.mark.models]

ENDLESS = QUICK.model_copy(update={"epochs": 1000})
ASKED_AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[TrainerRoom]:
    values = model_service_settings("trainer", weed, f"sqlite:///{tmp_path}/t.sqlite", tmp_path / "work")
    quick = {
        "stop_check_s": 0.1, "log_part_every_s": 0.2, "cost_per_hour": 3600.0, "training_threads": 1,
        "checkpoint_every_s": 0.0, "checkpoint_store_every_s": 0.2,
    }  # fmt: skip
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    made = TrainerRoom(TrainerSettings(**(values | quick)), weed.store(), name)
    yield made
    made.database.close()


async def test_a_cancelled_run_stops_is_told_once_and_leaves_its_log(room: TrainerRoom) -> None:
    asked = training("run-1", await room.packed(), options=ENDLESS)
    async with under_way(room, asked) as run:
        await so(lambda: bool(room.objects_of("run-1", "log/")))
        await so(lambda: any(key.endswith("newest.json") for key in room.objects_of("run-1", "checkpoint/")))
        with pytest.raises(Postponed, match="another trainer works on run run-1"):
            await room.hear(asked)  # a redelivery, to any trainer
        await room.cancel("run-1")
        await asyncio.wait_for(run, PATIENCE_S)
    *epochs, cancelled = await room.told()
    assert isinstance(cancelled, TrainCancelled)
    assert (cancelled.by, cancelled.reason) == ("ann", "wrong photos")
    assert {type(epoch) for epoch in epochs} == {TrainProgressed}
    assert cancelled.epochs == len(epochs)
    await room.cancel("run-1")
    await room.hear(asked)  # a redelivery
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


async def test_a_pruned_trial_tells_its_curve_so_far_and_a_whole_run_its_curves(room: TrainerRoom) -> None:
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

    await room.hear(training("run-2", packed))
    trained = await room.last()
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
