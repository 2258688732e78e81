"""A service with one durable and a handler of the test's choice, on a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig

from contracts.commands import AssignLabel
from contracts.events import DeadLetterStored, ImageLabelled
from contracts.message import Message
from contracts.subjects import CONSUMERS, STREAMS
from services.runtime.database import new_metadata
from services.runtime.delivery import Delivery
from services.runtime.envelope import encode
from services.runtime.service import Service
from services.runtime.settings import RuntimeSettings

DURABLE = "ingest-labels"
STREAM = "LIBRARY"
Deliveries = Sequence[Delivery[AssignLabel]]


def request(number: int, by: str = "ann") -> AssignLabel:
    """A valid message that tests count; ``by`` tells the handler what to do with it."""
    return AssignLabel(
        request_id=f"request-{number:05d}",
        image_id=f"{number:064x}",
        label="otter",
        by=by,
        requested_at=datetime(2026, 11, 21, tzinfo=UTC),
    )


def probe_settings(url: str, folder: Path, **changes: Any) -> RuntimeSettings:
    """Settings of a probe; quick retries."""
    values: dict[str, Any] = {
        "nats_url": url,
        "database_url": f"sqlite:///{folder}/probe.sqlite",
        "work_dir": folder / "work",
        "retry_delays_s": (0.1, 0.2, 0.4),
        "graceful_stop_s": 5.0,
    }
    return RuntimeSettings(**(values | changes))


def probe_service(
    settings: RuntimeSettings,
    *,
    one: Callable[[Delivery[AssignLabel]], Awaitable[None]] | None = None,
    batch: Callable[[Deliveries], Awaitable[None]] | None = None,
) -> Service:
    """Ingest's label durable with another handler."""
    metadata = new_metadata()
    service = Service("ingest", settings, metadata, publishes=[ImageLabelled])
    metadata.create_all(service.database.engine)
    if batch is not None:
        service.handle_batch(DURABLE, batch)
    if one is not None:
        service.handle(DURABLE, one)
    return service


async def connect(url: str) -> tuple[Client, JetStreamContext]:
    """A client of the test's own."""
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    return client, client.jetstream(timeout=15)


async def declare(js: JetStreamContext, ack_wait_s: float | None = None) -> None:
    """Streams and durables of the contracts, without users: provisioning has tests of its own."""
    for stream in STREAMS:
        await js.add_stream(
            StreamConfig(name=stream.name, subjects=list(stream.subjects), storage=StorageType.FILE)
        )
    for consumer in CONSUMERS:
        await js.add_consumer(
            consumer.stream,
            ConsumerConfig(
                durable_name=consumer.durable,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ack_wait_s or consumer.ack_wait_s,
                filter_subjects=list(consumer.subjects),
                max_deliver=-1,
                max_ack_pending=consumer.max_ack_pending,
            ),
        )


async def say(js: JetStreamContext, *messages: Message) -> None:
    """Publish as ops would, in order."""
    for message in messages:
        body, headers = encode(message, "test")
        await js.publish(message.subject(), body, stream=message.stream(), headers=headers)


async def until(condition: Callable[[], Awaitable[bool]], deadline_s: float = 30.0) -> None:
    """Poll; fail with the condition's name when the deadline passes."""
    end = time.monotonic() + deadline_s
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"not so within {deadline_s:g} s: {condition.__qualname__}")
        await asyncio.sleep(0.02)


async def until_quiet(js: JetStreamContext, durable: str = DURABLE, stream: str = STREAM) -> None:
    """Until nothing is pending and nothing in hand."""

    async def quiet() -> bool:
        info = await js.consumer_info(stream, durable)
        return bool(info.num_pending == 0 and info.num_ack_pending == 0)

    await until(quiet)


async def dead_letters(js: JetStreamContext) -> list[DeadLetterStored]:
    """All letters, in order."""
    state = (await js.stream_info("DEAD_LETTERS")).state
    letters = []
    for seq in range(1, state.last_seq + 1):
        raw = await js.get_msg("DEAD_LETTERS", seq)
        letters.append(DeadLetterStored.model_validate_json(raw.data or b""))
    return letters
