"""``kill -9`` of the evaluator and of its child in the middle of scoring: the matrix of an undisturbed one."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from contracts.commands import RequestEvaluation
from contracts.events import ModelScored, ModelTrained
from services.evaluator.settings import EvaluatorSettings
from tests.support.colour_library import NOW, ColourLibrary
from tests.support.model_services import model_service_settings
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, S3Server
from tests.support.trainer_house import said

pytestmark = [pytest.mark.faults, pytest.mark.models]

BATCH = 256
"""Images of 8 px that are scored at a time."""
BATCHES = 12
PLAN = ("child disk 3", "child rows 2", "service rows 2", "child line 2", "service disk 3")
STARTS = [0, 2, 3, 4, 5, 7]
"""Batches that the journal spoke of when each child began; the last one comes to the end."""
PATIENCE_S = 400.0
ACK_WAIT_S = 5.0


@dataclass
class House:
    """Servers for evaluators one after another."""

    broker: Broker
    s3: S3Server
    folder: Path

    @asynccontextmanager
    async def evaluator(self) -> AsyncIterator[Process]:
        """One that listens, whose children die as planned."""
        url = f"sqlite:///{self.folder}/evaluator.sqlite"
        values = await asyncio.to_thread(
            model_service_settings, "evaluator", self.s3, url, self.folder / "work", self.broker
        )
        settings = EvaluatorSettings(
            **values, scoring_keep_every_s=0, lease_s=10, scoring_threads=1, scoring_tell_every_s=0.1
        )
        files = {name: str(self.folder / name.lower()) for name in ("PLAN", "STARTS")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.evaluator_process", "tests.support.mortal_scorer",
            env=os.environ | settings.child_env() | files, stdout=PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def starts(self) -> list[int]:
        """How many batches each child found done."""
        path = self.folder / "starts"
        return [int(line) // BATCH for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
async def house(broker: Broker, weed: S3Server, tmp_path: Path) -> House:
    await asyncio.to_thread(broker.provision)
    return House(broker, weed, tmp_path)


@pytest.fixture
async def js(house: House) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    made = client.jetstream(timeout=15)
    config = (await made.consumer_info("MODELS", "evaluator-models")).config
    config.ack_wait = ACK_WAIT_S  # what a killed process had in hand comes again sooner
    await made.add_consumer("MODELS", config)
    yield made
    await client.close()


async def scored(js: JetStreamContext, request_id: str) -> ModelScored:
    """The one answer to a request."""

    async def answered() -> bool:
        return request_id in {one.request_id for one in await said(js, ModelScored)}

    await until(answered, PATIENCE_S)
    (one,) = [one for one in await said(js, ModelScored) if one.request_id == request_id]
    return one


async def kill_as_planned(house: House, js: JetStreamContext, request_id: str) -> ModelScored:
    """Start the evaluator again whenever it was killed."""
    answer = asyncio.create_task(scored(js, request_id))
    try:
        while not answer.done():
            async with house.evaluator() as process:
                died = asyncio.create_task(process.wait())
                await asyncio.wait({answer, died}, return_when=asyncio.FIRST_COMPLETED)
                assert answer.done() or process.returncode == -9
        return answer.result()
    finally:
        answer.cancel()


async def test_five_kills_change_no_byte_of_the_matrix(house: House, js: JetStreamContext) -> None:
    library = ColourLibrary(house.s3.store(), "killed-scoring")
    for number in range(BATCH * BATCHES - 100):
        index = number % 3
        library.add(
            (number % 256, 7 * number % 256, 13 * number % 256), side="test", label="red", class_name="red",
            label_kind="class", class_index=index,
        )  # fmt: skip
    trained: ModelTrained = library.trained()
    (house.folder / "plan").write_text("\n".join(PLAN))
    await say(js, trained)

    killed = await kill_as_planned(house, js, trained.run_id)

    assert house.starts() == STARTS
    again = RequestEvaluation(request_id="again-0001", model_version="001", by="ann", requested_at=NOW)
    await say(js, again)
    async with house.evaluator():
        undisturbed = await scored(js, again.request_id)
    assert house.starts() == [*STARTS, 0]
    assert undisturbed.scores.sha256 == killed.scores.sha256
    assert undisturbed.sets == killed.sets
    assert len(await said(js, ModelScored)) == 2
    assert await dead_letters(js) == []
    assert not list((house.folder / "work").glob("*"))
