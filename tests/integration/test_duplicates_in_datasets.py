"""From uploads to a data set through the real services: what belongs together stays on one side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from nats.js import JetStreamContext

from contracts.commands import RequestSnapshot, RequestTraining
from contracts.events import ImageDeduplicated, ModelTrained, SnapshotPacked, TrainFailed
from contracts.manifests import DatasetRow
from contracts.message import Message
from contracts.training import DatasetRules, TrainOptions
from contracts.values import Side
from services.dedup.settings import DedupSettings
from services.runtime.service import Service
from services.trainer.app import create_app
from services.trainer.fitting.manifest import read_dataset
from services.trainer.settings import TrainerSettings
from tests.support.dedup_house import DedupHouse, final, verdicts_said
from tests.support.duplicates_zoo import Photo, Zoo
from tests.support.ingest_service import IngestServers, said
from tests.support.model_services import model_service_settings
from tests.support.probe import say, until
from tests.support.servers import Broker, S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]

M = TypeVar("M", bound=Message)
RULES = DatasetRules(minimum_per_class=5, maximum_per_class=30, train_share=0.5, validation_share=0.2)
"""Class caps and shares that give every side some images."""
OPTIONS = TrainOptions(epochs=1, batch_size=16)
CHAIN_S = 240.0
"""A training process alone takes half a minute to start on a busy machine."""


@pytest.fixture
def zoo() -> Zoo:
    return Zoo(DedupSettings.model_construct().limits)


@pytest.fixture
def servers(broker: Broker, weed: S3Server) -> Broker:
    broker.provision()
    weed.store()
    return broker


@pytest.fixture
async def js(servers: Broker) -> AsyncIterator[JetStreamContext]:
    client = await servers.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


@asynccontextmanager
async def house(broker: Broker, weed: S3Server, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest, dedup and the trainer, started; gives a client of ingest."""
    trainer = model_service_settings(
        "trainer", weed, f"sqlite:///{folder}/trainer.sqlite", folder / "trainer", broker
    )
    dedup = DedupHouse(broker, weed, f"sqlite:///{folder}/dedup.sqlite", folder / "dedup")
    ingest = IngestServers(broker, weed, f"sqlite:///{folder}/ingest.sqlite", folder / "ingest")
    async with AsyncExitStack() as started:
        service: Service = create_app(TrainerSettings(**trainer))
        await service.start()
        started.push_async_callback(service.stop)
        await started.enter_async_context(dedup.running())
        yield await started.enter_async_context(ingest.running())


async def heard(js: JetStreamContext, stream: str, kind: type[M]) -> M:
    """The first message of that type, waited for; a run that fails is the test's failure."""
    found: list[M] = []

    async def came() -> bool:
        for message in await said(js, stream):
            assert not isinstance(message, TrainFailed), message
            if isinstance(message, kind):
                found.append(message)
        return bool(found)

    await until(came, CHAIN_S)
    return found[0]


async def verdicts(js: JetStreamContext, images: int) -> dict[str, ImageDeduplicated]:
    """The last word on each of so many images."""

    async def all_judged() -> bool:
        info = await js.consumer_info("IMAGES", "ingest-verdicts")
        noted = info.num_pending == 0 and info.num_ack_pending == 0
        return noted and len(final(await verdicts_said(js))) == images

    await until(all_judged, CHAIN_S)
    return final(await verdicts_said(js))


async def trained_dataset(js: JetStreamContext, weed: S3Server) -> list[DatasetRow]:
    """Pack the library, train on it, and read back what the trainer wrote."""
    at = datetime.now(UTC)
    await say(js, RequestSnapshot(request_id="pack-zoo", by="ann", requested_at=at))
    packed = await heard(js, "LIBRARY", SnapshotPacked)
    await say(
        js,
        RequestTraining(
            run_id="run-zoo", snapshot_id=packed.snapshot_id, base="scratch", rules=RULES, options=OPTIONS,
            trial=False, by="ann", requested_at=at,
        ),
    )  # fmt: skip
    trained = await heard(js, "MODELS", ModelTrained)
    return read_dataset(weed.store().get(trained.dataset))


async def test_no_cluster_of_duplicates_spans_two_sides_of_a_trained_data_set(
    zoo: Zoo, servers: Broker, weed: S3Server, js: JetStreamContext, tmp_path: Path
) -> None:
    async with house(servers, weed, tmp_path) as ingest:
        image_of: dict[str, str] = {}
        for form in zoo.forms():
            answer = await ingest.post("/api/v1/images", **form)
            assert answer.status_code == 202, answer.text
            image_of |= {row["upload_id"]: row["image_id"] for row in answer.json()["received"]}
        said_of = await verdicts(js, len(zoo.photos))
        dataset = await trained_dataset(js, weed)

    def image(photo: Photo) -> str:
        return image_of[photo.upload_id]

    assert {image(p): p.verdict for p in zoo.photos} == {i: str(v.verdict) for i, v in said_of.items()}
    row_of = {row.image_id: row for row in dataset}
    groups, families = defaultdict[str, set[Side]](set), defaultdict[int, set[Side]](set)
    for row in dataset:
        groups[row.group].add(row.side)
    for photo in zoo.photos:
        families[photo.family].add(row_of[image(photo)].side)
    assert {name: found for name, found in groups.items() if len(found - {Side.OUT}) > 1} == {}
    assert {number: found for number, found in families.items() if len(found - {Side.OUT}) > 1} == {}
    sides = Counter(row.side for row in dataset)
    assert set(sides) == set(Side), "the test says nothing of a side without images"
    copies = [row_of[image(photo)] for photo in zoo.photos if photo.verdict == "near"]
    assert {row.side for row in copies} == {Side.OUT, Side.BENCHMARK}
    bursts = [row_of[image(photo)] for photo in zoo.photos if photo.verdict == "burst"]
    assert {row.side for row in bursts} > {Side.TRAIN}
    assert Side.OUT not in {row.side for row in bursts}
