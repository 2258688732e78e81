"""Trainers as processes on real servers, and what they say."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psutil
import sqlalchemy as sa
from nats.js import JetStreamContext

from contracts.commands import RequestTraining
from contracts.events import SnapshotPacked
from contracts.message import Message
from contracts.training import DatasetRules, TrainOptions
from services.runtime.database import make_engine
from services.runtime.objectstore import ObjectStore
from services.trainer.settings import TrainerSettings
from services.trainer.store.tables import run_table
from tests.support.colour_library import NOW
from tests.support.model_services import model_service_settings
from tests.support.servers import Broker, S3Server

M = TypeVar("M", bound=Message)
STREAM, REQUESTS = "MODELS", "trainer-requests"
ACK_WAIT_S = 5.0
"""What a killed process had in hand comes again so soon, instead of after half a minute."""
LEASE_S = 15.0
"""Longer than a busy machine keeps a trainer from saying that it lives."""
SMALL = DatasetRules(minimum_per_class=10, maximum_per_class=20)
QUICK = TrainOptions(epochs=2, batch_size=8, learning_rate=3e-3, flip=False)


@dataclass
class TrainerHouse:
    """Servers and a database for any number of trainers."""

    broker: Broker
    s3: S3Server
    database_url: str
    folder: Path
    child: str = "services.trainer.job"
    """Module of the trainers' children."""

    @property
    def store(self) -> ObjectStore:
        """A client."""
        return self.s3.store()

    def settings(self, name: str = "work", **changes: Any) -> TrainerSettings:
        """Of a trainer whose work folder has that name."""
        work_dir = self.folder / name
        values = model_service_settings("trainer", self.s3, self.database_url, work_dir, self.broker)
        quick = {"lease_s": LEASE_S, "stop_check_s": 0.2, "log_part_every_s": 0.5, "training_threads": 1}
        return TrainerSettings(**(values | quick | changes))

    @asynccontextmanager
    async def trainer(
        self, name: str = "work", settings: dict[str, Any] | None = None
    ) -> AsyncIterator[Process]:
        """A trainer that listens."""
        whole = await asyncio.to_thread(self.settings, name, **(settings or {}))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.trainer_process", self.child,
            env=os.environ | whole.child_env(), stdout=PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def hurry(self, js: JetStreamContext) -> None:
        """Let the broker wait less long for a trainer that died."""
        config = (await js.consumer_info(STREAM, REQUESTS)).config
        config.ack_wait = ACK_WAIT_S
        await js.add_consumer(STREAM, config)

    def checkpoints_of(self, run_id: str) -> int:
        """The newest checkpoint that the trainers noted; the run must not have failed."""
        query = sa.select(run_table.c.state, run_table.c.checkpoints).where(run_table.c.run_id == run_id)
        with self._engine.connect() as connection:
            found = connection.execute(query).one_or_none()
        assert found is None or found.state != "failed"
        return 0 if found is None else int(found.checkpoints)

    @cached_property
    def _engine(self) -> sa.Engine:
        return make_engine(self.database_url)


def training(run_id: str, packed: SnapshotPacked, **change: Any) -> RequestTraining:
    """A small and quick run."""
    fields = {"rules": SMALL, "options": QUICK, "by": "ann", "requested_at": NOW, "base": "scratch"}
    return RequestTraining.model_validate(
        {"run_id": run_id, "snapshot_id": packed.snapshot_id} | fields | change
    )


def child_of(trainer: int) -> int | None:
    """The training child of a trainer process, None while it has none."""
    try:
        alive = (one for one in psutil.Process(trainer).children() if one.status() != psutil.STATUS_ZOMBIE)
        return next((one.pid for one in alive), None)
    except psutil.NoSuchProcess:
        return None


async def said(js: JetStreamContext, kind: type[M]) -> list[M]:
    """Every message of a kind in the log, in order."""
    last = (await js.stream_info(STREAM)).state.last_seq
    found = []
    for seq in range(1, last + 1):
        raw = await js.get_msg(STREAM, seq)
        if raw.subject == kind.subject():
            found.append(kind.model_validate_json(raw.data or b""))
    return found
