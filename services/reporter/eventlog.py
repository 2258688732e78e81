"""Reading a stream from its first event through a short-lived consumer that settles nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.subjects import Consumer

READER = "reporter-rebuild"
"""The one consumer name the reporter's NATS user may create, pull from and delete."""
ANSWER_S = 30.0
INACTIVE_S = 60.0
"""The broker removes the consumer of a reader that died; a living one pulls several times a second."""


class LogUnreadable(Exception):
    """The broker does not give the events out."""


@dataclass(frozen=True)
class StoredEvent:
    """One message of a stream as the broker keeps it."""

    seq: int
    subject: str
    body: bytes


class EventLog:
    """Sequence numbers and events of streams, over a connection that somebody else owns."""

    def __init__(self, connection: Client) -> None:
        self._js: JetStreamContext = connection.jetstream(timeout=ANSWER_S)

    async def last_seq(self, stream: str) -> int:
        """Sequence of the newest event; 0 when the stream is empty."""
        info = await self._js.stream_info(stream)
        return int(info.state.last_seq)

    async def settled_seq(self, stream: str, durable: str) -> int:
        """Every event up to this one was handled by ``durable``."""
        info = await self._js.consumer_info(stream, durable)
        return int(info.ack_floor.stream_seq) if info.ack_floor else 0

    async def read(self, heard: Consumer, first: int, last: int) -> AsyncIterator[list[StoredEvent]]:
        """Events ``first`` .. ``last`` that ``heard`` listens to, in order, batch by batch.

        Raises:
            LogUnreadable: no answer, or the broker refuses; says what to check.
        """
        if first > last:
            return
        await self._forget(heard.stream)
        try:
            async for batch in self._pull(heard, first):
                wanted = [event for event in batch if event.seq <= last]
                if wanted:
                    yield wanted
                if batch[-1].seq >= last:
                    return
        except NatsTimeout as error:
            raise LogUnreadable(
                f"stream {heard.stream}: no answer within {ANSWER_S:g} s; may the reporter's NATS user "
                f"create the consumer {READER!r}? (`python -m deploy.provision`)"
            ) from error
        finally:
            await self._forget(heard.stream)

    async def _pull(self, heard: Consumer, first: int) -> AsyncIterator[list[StoredEvent]]:
        config = ConsumerConfig(
            name=READER,
            filter_subjects=list(heard.subjects),
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            inactive_threshold=INACTIVE_S,
            mem_storage=True,
        )
        info = await self._js.add_consumer(heard.stream, config)
        pending, place = info.num_pending or 0, 0
        subscription = await self._js.pull_subscribe_bind(stream=heard.stream, consumer=READER)
        try:
            while pending:
                messages = await subscription.fetch(min(heard.batch, pending), timeout=ANSWER_S)
                for message in messages:
                    place = _next_place(message, place)
                pending = messages[-1].metadata.num_pending
                yield [StoredEvent(m.metadata.sequence.stream, m.subject, m.data) for m in messages]
        finally:
            await subscription.unsubscribe()

    async def _forget(self, stream: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self._js.delete_consumer(stream, READER)


def _next_place(message: Msg, place: int) -> int:
    delivered = int(message.metadata.sequence.consumer)
    if delivered != place + 1:  # what is not acknowledged is not sent again: a hole must not pass
        raise LogUnreadable(
            f"stream {message.metadata.stream}: delivery {place + 1} was lost on the way "
            "(the connection broke); try again"
        )
    return delivered
