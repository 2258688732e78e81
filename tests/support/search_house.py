"""Real trainer processes on real servers, with a small packed library to search with."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nats.js import JetStreamContext

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import SearchCompleted, SnapshotPacked, TrialCompleted
from contracts.message import Message
from services.trainer.settings import TrainerSettings
from tests.support.digit_library import DigitLibrary
from tests.support.model_services import model_service_settings
from tests.support.probe import dead_letters, say, until
from tests.support.searching import search_request
from tests.support.servers import Broker, S3Server

M = TypeVar("M", bound=Message)
STREAM = "MODELS"
PATIENCE_S = 1500.0
"""A trial is a child that imports TensorFlow: seconds, on a machine whose cores are shared many."""
RATES = [0.0003, 0.001, 0.003, 0.01]


@dataclass
class SearchHouse:
    """Servers and a database for any number of trainers at once."""

    broker: Broker
    s3: S3Server
    database_url: str
    folder: Path

    def settings(self, name: str) -> TrainerSettings:
        """Of one trainer; each has a work folder of its own, as on a machine of its own."""
        values = model_service_settings(
            "trainer", self.s3, self.database_url, self.folder / name, self.broker
        )
        return TrainerSettings(**values | {"http_port": 0, "training_threads": 1})

    @asynccontextmanager
    async def trainer(self, name: str) -> AsyncIterator[Process]:
        """``python -m services.trainer``; its log lies in the folder."""
        settings = await asyncio.to_thread(self.settings, name)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.trainer", env=os.environ | settings.child_env(), stderr=log,
                stdout=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def packed(self, name: str) -> SnapshotPacked:
        """A snapshot of 28 digits of two classes."""
        return DigitLibrary(self.s3.store(), name, "01", 14).packed()


def small_search(search_id: str, snapshot_id: str) -> RequestSearch:
    """Four trials of two epochs, two at once."""
    return search_request(
        search_id,
        snapshot_id=snapshot_id,
        space={"learning_rate": RATES},
        method="random",
        trials=len(RATES),
        parallel=2,
        prune=False,
        options={"epochs": 2, "batch_size": 8, "flip": False},
        rules={"minimum_per_class": 10},
    )


async def said(js: JetStreamContext, kind: type[M]) -> list[M]:
    """Every message of a kind in the log, in order."""
    found = []
    for seq in range(1, (await js.stream_info(STREAM)).state.last_seq + 1):
        raw = await js.get_msg(STREAM, seq)
        if raw.subject == kind.subject():
            found.append(kind.model_validate_json(raw.data or b""))
    return found


async def completed_search(js: JetStreamContext) -> SearchCompleted:
    """Once the search is over: every trial was asked for once and ended once, nothing was put aside."""

    async def over() -> bool:
        return bool(await said(js, SearchCompleted)) or bool(await dead_letters(js))

    await until(over, PATIENCE_S)
    assert await dead_letters(js) == []
    asked = Counter(one.trial_number for one in await said(js, RequestTraining))
    ended = Counter(one.trial_number for one in await said(js, TrialCompleted))
    assert asked == ended == Counter(range(len(RATES)))
    (told,) = await said(js, SearchCompleted)
    return told


async def begin(js: JetStreamContext, packed: SnapshotPacked, search_id: str) -> None:
    """Tell of the snapshot and ask for the search."""
    await say(js, packed, small_search(search_id, packed.snapshot_id))
