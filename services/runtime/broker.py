"""The FastStream broker as every service builds it, and the traps it avoids."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from contracts.subjects import Consumer
from services.runtime.settings import RuntimeSettings

EXIT_CLOSED = 70
EXIT_NOT_PROVISIONED = 78
FETCH_WAIT_S = 5.0
"""One idle request per durable and 5 s; also how long a stale request outlives a broker restart."""
RECONNECT_WAIT_S = 0.5
CLOSED_CHECK_S = 1.0


class BrokerFaults:
    """Faults that FastStream does not raise; readiness turns red on them."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self.forbidden: str | None = None
        self.stopping = False
        self._log = log

    async def on_error(self, error: Exception) -> None:
        """A refused publish or subscription is only ever told here."""
        if "permissions violation" in str(error).lower():
            self.forbidden = str(error)
        self._log.warning("broker.error", error=repr(error))

    def guard(self, client: Client) -> None:
        """End the process when the connection is closed for good; its supervisor restarts it.

        In a thread: FastStream's pull loop then spins without a pause, so that no coroutine, the
        client's own ``closed_cb`` among them, ever runs again.
        """

        def watch() -> None:
            while not self.stopping:
                if client.is_closed:
                    self._log.critical("broker.closed", exit_code=EXIT_CLOSED)
                    os._exit(EXIT_CLOSED)
                time.sleep(CLOSED_CHECK_S)

        threading.Thread(target=watch, name="broker-guard", daemon=True).start()


def build_broker(service: str, settings: RuntimeSettings, faults: BrokerFaults) -> NatsBroker:
    """A broker that reconnects for ever and whose replies nobody else can read."""
    user, password = settings.nats_user, settings.nats_password.get_secret_value()
    return NatsBroker(
        settings.nats_url,
        name=f"{service}-{os.getpid()}",
        security=SASLPlaintext(user, password) if user else None,
        inbox_prefix=inbox_prefix(service),
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # nats-py takes fractions
        graceful_timeout=settings.graceful_stop_s,
        error_cb=faults.on_error,
        apply_types=False,  # our policy decodes, so that a malformed body reaches it
        logger=None,
    )


def inbox_prefix(service: str) -> str:
    """Private reply subjects, matched by the service's permissions."""
    return f"_INBOX.{service}"


def attach(
    broker: NatsBroker, service: str, consumer: Consumer, consume: Callable[[Msg], Awaitable[None]]
) -> None:
    """Subscribe ``consume`` to a declared durable; each raw delivery is settled by it."""

    async def undecoded(message: StreamMessage[Msg]) -> Any:
        return message.raw_message

    subscriber = broker.subscriber(
        consumer.subjects[0],
        stream=JStream(consumer.stream, declare=False),
        durable=consumer.durable,
        config=ConsumerConfig(filter_subjects=list(consumer.subjects)),
        # Without max_workers a whole fetch starts at once: none waits with its ack_wait running.
        pull_sub=PullSub(batch_size=consumer.batch, timeout=FETCH_WAIT_S),
        inbox_prefix=f"{inbox_prefix(service)}.".encode(),  # with the dot, or replies never arrive
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        decoder=undecoded,
        title=consumer.durable,
    )
    subscriber(consume)


class DurableMissing(Exception):
    """A declared durable is not there; the message says what to run."""


async def check_durables(js: Any, consumers: list[Consumer]) -> None:
    """Ask the broker for every durable, a real round trip.

    Raises:
        DurableMissing: one is not there; FastStream would spin on it without a word.
    """
    for consumer in consumers:
        try:
            await js.consumer_info(consumer.stream, consumer.durable)
        except NotFoundError:
            raise DurableMissing(
                f"durable {consumer.durable!r} is missing on stream {consumer.stream!r}: "
                "run `python -m deploy.provision`"
            ) from None


async def watch_durables(
    js: Any, consumers: list[Consumer], every_s: float, log: structlog.stdlib.BoundLogger
) -> None:
    """Exit when a durable vanishes under us; a broker that is away is only waited for."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await check_durables(js, consumers)
        except DurableMissing as missing:
            log.critical("durable.missing", error=str(missing), exit_code=EXIT_NOT_PROVISIONED)
            os._exit(EXIT_NOT_PROVISIONED)
        except Exception as error:
            log.warning("broker.away", error=repr(error))
