"""Streams and durables: made when missing, brought back when they drifted."""

from __future__ import annotations

import asyncio

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    ReplayPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from contracts.subjects import CONSUMERS, STREAMS, Consumer, Stream
from deploy.provision.changes import Change, ProvisionError, differences

UNLIMITED = -1
DUPLICATE_WINDOW_S = 600.0
"""Longer than any outage after which an outbox repeats what the broker may already have."""
FIXED_OF_STREAM = ("retention", "storage")
FIXED_OF_CONSUMER = ("deliver_policy", "ack_policy", "replay_policy")


def stream_settings(stream: Stream, replicas: int) -> dict[str, object]:
    """The declared configuration: a log on disk from which nothing ever goes."""
    return {
        "subjects": list(stream.subjects),
        "retention": RetentionPolicy.LIMITS,
        "storage": StorageType.FILE,
        # Old messages are never given up for new ones: a full disk refuses the publisher instead.
        "discard": DiscardPolicy.NEW,
        "max_age": 0.0,
        "max_bytes": UNLIMITED,
        "max_msgs": UNLIMITED,
        "max_msgs_per_subject": UNLIMITED,
        "duplicate_window": DUPLICATE_WINDOW_S,
        "num_replicas": replicas,
    }


def consumer_settings(consumer: Consumer) -> dict[str, object]:
    """The declared configuration; attempts are bounded by services/runtime, which keeps the message."""
    return {
        "deliver_policy": DeliverPolicy.ALL,
        "ack_policy": AckPolicy.EXPLICIT,
        "replay_policy": ReplayPolicy.INSTANT,
        "ack_wait": consumer.ack_wait_s,
        # After a server-side limit a message would only lie there: nothing moves it to the dead letters.
        "max_deliver": UNLIMITED,
        "max_ack_pending": consumer.max_ack_pending,
    }


async def provision_streams(js: JetStreamContext, replicas: int = 1) -> list[Change]:
    """Make every stream and durable as declared.

    Raises:
        ProvisionError: one stands there in a way that cannot be changed.
    """
    streams = await asyncio.gather(*(_ensure_stream(js, stream, replicas) for stream in STREAMS))
    consumers = await asyncio.gather(*(_ensure_consumer(js, consumer) for consumer in CONSUMERS))
    return [change for change in [*streams, *consumers] if change]


async def undeclared(js: JetStreamContext) -> list[str]:
    """Durables on our streams that nobody declares: each holds a place that nobody advances."""
    declared = {(consumer.stream, consumer.durable) for consumer in CONSUMERS}
    found = []
    for stream in STREAMS:
        for info in await js.consumers_info(stream.name):
            durable = info.config.durable_name
            if durable and (stream.name, durable) not in declared:
                found.append(f"{stream.name}/{durable}")
    return found


async def _ensure_stream(js: JetStreamContext, stream: Stream, replicas: int) -> Change | None:
    declared = stream_settings(stream, replicas)
    place = f"stream {stream.name}"
    try:
        info = await js.stream_info(stream.name)
    except NotFoundError:
        try:
            await js.add_stream(StreamConfig(name=stream.name, **declared))  # type: ignore[arg-type]
        except APIError as error:
            raise _refused(place, "created", error) from error
        return Change("stream", stream.name)
    changed = differences(info.config, declared)
    if not changed:
        return None
    _check_fixed(place, changed, FIXED_OF_STREAM)
    try:
        await js.update_stream(info.config.evolve(**declared))
    except APIError as error:
        raise _refused(place, "updated", error) from error
    return Change("stream", stream.name, changed)


async def _ensure_consumer(js: JetStreamContext, consumer: Consumer) -> Change | None:
    declared = consumer_settings(consumer)
    place = f"consumer {consumer.durable} of stream {consumer.stream}"
    try:
        info: ConsumerInfo | None = await js.consumer_info(consumer.stream, consumer.durable)
    except NotFoundError:
        info = None
    config = ConsumerConfig(
        durable_name=consumer.durable,
        filter_subjects=list(consumer.subjects),
        **declared,  # type: ignore[arg-type]
    )
    changed = _drift(info, consumer, declared) if info else {}
    if info and not changed:
        return None
    _check_fixed(place, changed, FIXED_OF_CONSUMER)
    try:
        # This form of the request creates or updates; what services send only looks the durable up.
        await js.add_consumer(consumer.stream, config)
        after = await js.consumer_info(consumer.stream, consumer.durable)
    except NatsError as error:
        raise _refused(place, "updated" if info else "created", error) from error
    left = _drift(after, consumer, declared)
    if left:
        raise ProvisionError(f"{place} kept {_told(left)} after an update: delete it and provision again")
    return Change("consumer", consumer.durable, changed)


def _drift(
    info: ConsumerInfo, consumer: Consumer, declared: dict[str, object]
) -> dict[str, tuple[object, object]]:
    config = info.config
    if config.deliver_subject:
        raise ProvisionError(
            f"consumer {consumer.durable} of stream {consumer.stream} pushes: delete it and provision again"
        )
    found = differences(config, declared)
    heard = config.filter_subjects or ([config.filter_subject] if config.filter_subject else [])
    if sorted(heard) != sorted(consumer.subjects):
        found["filter_subjects"] = (heard, list(consumer.subjects))
    return found


def _check_fixed(place: str, changed: dict[str, tuple[object, object]], fixed: tuple[str, ...]) -> None:
    stuck = {name: pair for name, pair in changed.items() if name in fixed}
    if stuck:
        raise ProvisionError(
            f"{place} has {_told(stuck)}, which the server cannot change in place: "
            "back it up, delete it, provision again and replay what it held"
        )


def _told(changed: dict[str, tuple[object, object]]) -> str:
    return ", ".join(f"{name} {was!s} (declared: {wanted!s})" for name, (was, wanted) in changed.items())


def _refused(place: str, action: str, error: Exception) -> ProvisionError:
    return ProvisionError(f"{place} could not be {action}: the server says {error}")
