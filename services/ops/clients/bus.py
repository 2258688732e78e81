"""NATS as user ``ops``: requests, backlog, and the dead letters themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from contracts.message import Message
from contracts.subjects import CONSUMERS
from services.ops.clients.errors import OpsError, Unreachable
from services.ops.clients.retry import OUTAGE_S, persist
from services.runtime.envelope import encode

USER = "ops"
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
AWAY = (NatsError, OSError, asyncio.TimeoutError)


class Bus:
    """One connection; every call raises ``Unreachable`` while the broker is away."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js: JetStreamContext = client.jetstream(timeout=ANSWER_TIMEOUT_S)

    async def request(self, message: Message, patience_s: float = OUTAGE_S) -> None:
        """Publish a command or fact, confirmed; repeats carry the same id and are stored once."""
        body, headers = encode(message, USER)
        await persist(
            lambda: self.publish(type(message).subject(), body, type(message).stream(), headers),
            patience_s=patience_s,
        )

    async def publish(self, subject: str, body: bytes, stream: str, headers: Mapping[str, str]) -> None:
        """Publish once, confirmed by ``stream``."""
        try:
            await self._js.publish(
                subject, body, stream=stream, headers=dict(headers), timeout=ANSWER_TIMEOUT_S
            )
        except AWAY as error:
            raise _away(error) from error

    async def backlog(self) -> dict[str, int]:
        """Messages each durable still has to finish: undelivered and delivered but not acknowledged."""

        async def pending(stream: str, durable: str) -> int:
            info = await self._js.consumer_info(stream, durable)
            return (info.num_pending or 0) + (info.num_ack_pending or 0)

        try:
            counts = await asyncio.gather(*(pending(one.stream, one.durable) for one in CONSUMERS))
        except NotFoundError as error:
            raise Unreachable(
                f"a consumer is missing ({error}): run `menagerie up`, it declares them"
            ) from error
        except AWAY as error:
            raise _away(error) from error
        return {one.durable: count for one, count in zip(CONSUMERS, counts, strict=True)}

    async def stored(self, stream: str, seq: int) -> RawStreamMsg | None:
        """The message at ``seq``, None when the stream does not have it."""
        try:
            return await self._js.get_msg(stream, seq)
        except NotFoundError:
            return None
        except AWAY as error:
            raise _away(error) from error

    async def last_seq(self, stream: str) -> int:
        """Place of the newest message of ``stream``; 0 when it has none."""
        try:
            return (await self._js.stream_info(stream)).state.last_seq
        except NotFoundError:
            return 0
        except AWAY as error:
            raise _away(error) from error

    async def next_said(self, kind: type[Message], since: int) -> RawStreamMsg | None:
        """The first message of ``kind`` behind place ``since`` of its stream, None when there is none."""
        try:
            return await self._js.get_msg(kind.stream(), since + 1, subject=kind.subject(), next=True)
        except NotFoundError:
            return None
        except AWAY as error:
            raise _away(error) from error

    async def read(self, stream: str) -> AsyncIterator[RawStreamMsg]:
        """Every message of ``stream`` in order, as far as it reaches now."""
        try:
            state = (await self._js.stream_info(stream)).state
            seq = state.first_seq
            while state.messages and seq <= state.last_seq:
                found = await self._js.get_msg(stream, seq, subject=">", next=True)
                yield found
                seq = (found.seq or seq) + 1
        except NotFoundError:
            return
        except AWAY as error:
            raise _away(error) from error

    async def follow(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        """Subject and body of whatever is said from now on."""
        subscription = await self._client.subscribe(subject)
        async for message in subscription.messages:
            yield message.subject, message.data


def _away(error: BaseException) -> OpsError:
    if "permissions" in str(error).lower():
        return OpsError(
            f"NATS user {USER!r} may not do this ({error}): run `menagerie up` again, it renews rights"
        )
    return Unreachable(
        f"NATS does not answer ({str(error) or type(error).__name__}): start it with `menagerie up`"
    )


@asynccontextmanager
async def open_bus(url: str, password: str, patience_s: float = 0.0) -> AsyncIterator[Bus]:
    """A connection that outlives restarts of the broker; ``patience_s`` is for the first contact."""
    client = await persist(lambda: _connect(url, password), patience_s=patience_s)
    try:
        yield Bus(client)
    finally:
        await client.close()


async def _connect(url: str, password: str) -> Client:
    client = Client()
    faults: list[Exception] = []

    async def note(error: Exception) -> None:
        """Outages show where a call fails; nats-py would print each one with a traceback."""
        faults.append(error)

    try:
        # Without a limit on reconnects the first contact has none either, hence the outer one.
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await client.connect(
                url,
                user=USER,
                password=password,
                name="menagerie",
                inbox_prefix=f"_INBOX.{USER}",
                connect_timeout=int(CONNECT_TIMEOUT_S),
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                error_cb=note,
            )
    except AWAY as error:
        await client.close()
        raise _away(_told(faults) or error) from error
    return client


def _told(faults: list[Exception]) -> Exception | None:
    """What the broker itself said, when one attempt of several heard it: a refusal closes the
    connection, and a socket that is written to meanwhile reports only the reset.
    """
    own_words = [one for one in faults if isinstance(one, NatsError)]
    return (own_words or faults or [None])[-1]
