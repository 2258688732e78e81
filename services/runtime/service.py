"""A service: its handlers, its stores and its HTTP side, started and stopped as one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import sqlalchemy as sa
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from contracts.manifests import Buckets
from contracts.message import Message
from contracts.subjects import Consumer, consumer
from services.runtime.attempts import AttemptLedger
from services.runtime.broker import (
    BrokerFaults,
    DurableMissing,
    attach,
    build_broker,
    check_durables,
    watch_durables,
)
from services.runtime.database import Database
from services.runtime.deadletters import DeadLetterBox
from services.runtime.delivery import BatchHandler, Handler
from services.runtime.health import Health
from services.runtime.logs import get_log
from services.runtime.metrics import Metrics
from services.runtime.objectstore import ObjectStore
from services.runtime.outbox import OutboxRelay
from services.runtime.policy import DeliveryPolicy
from services.runtime.settings import RuntimeSettings
from services.runtime.telemetry import configure_tracing

Hook = Callable[[], Awaitable[None]]


class Service:
    """Composition of one service; built in ``create_app`` and nowhere else."""

    def __init__(
        self,
        name: str,
        settings: RuntimeSettings,
        metadata: sa.MetaData,
        publishes: Sequence[type[Message]],
    ) -> None:
        self.name = name
        self.settings = settings
        self.publishes = tuple(publishes)
        self.log = get_log(name)
        self.store = ObjectStore(settings)
        self.metrics = Metrics(name)
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.database = Database(settings.database_url.get_secret_value(), metadata, name, owner)
        self.faults = BrokerFaults(self.log)
        self.broker = build_broker(name, settings, self.faults)
        self.outbox = OutboxRelay(self.database, owner, self.store.sync)
        self.database.on_emit = self.outbox.kick
        self._ledger = AttemptLedger(self.database)
        self._dead_letters = DeadLetterBox(name, lambda: self.jetstream)
        self._policies: list[DeliveryPolicy] = []
        self._mounted: ASGIApp | None = None
        self._starting: list[Hook] = []
        self._stopping: list[Hook] = []
        self._tasks: list[asyncio.Task[None]] = []
        configure_tracing(name, settings.otlp_endpoint)

    @property
    def consumers(self) -> list[Consumer]:
        """The durables this service listens on."""
        return [policy.consumer for policy in self._policies]

    def handle(self, durable: str, handler: Handler) -> None:
        """Call ``handler`` per message; those of one fetch run side by side."""
        self._listen(durable, handler, None)

    def handle_batch(self, durable: str, handler: BatchHandler) -> None:
        """Call ``handler`` once per fetch, in log order; if it raises, each message is tried alone."""
        self._listen(durable, None, handler)

    def mount(self, app: ASGIApp) -> None:
        """Serve the service's own HTTP application at ``/``."""
        self._mounted = app

    def on_start(self, hook: Hook) -> None:
        """Run before the first message is handled."""
        self._starting.append(hook)

    def on_stop(self, hook: Hook) -> None:
        """Run after the last message is settled."""
        self._stopping.append(hook)

    def asgi(self) -> Starlette:
        """The ASGI application: starts and stops with its lifespan."""
        routes: list[Route | Mount] = [
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
            Route("/metrics", self._metrics),
        ]
        if self._mounted is not None:
            routes.append(Mount("/", self._mounted))
        return Starlette(routes=routes, lifespan=self._lifespan)

    async def start(self) -> None:
        """Connect, check what must exist, relay what waits, then listen."""
        self.settings.work_dir.mkdir(parents=True, exist_ok=True)
        connection = await self.broker.connect()
        self.faults.guard(connection)
        self.jetstream = connection.jetstream()
        try:
            await check_durables(self.jetstream, self.consumers)
        except DurableMissing as missing:
            raise SystemExit(str(missing)) from None  # one sentence, no traceback
        self._health = Health(self._checks())
        for hook in self._starting:
            await hook()
        self._tasks = [
            asyncio.create_task(self.outbox.run(self.jetstream)),
            asyncio.create_task(
                watch_durables(self.jetstream, self.consumers, self.settings.consumer_check_s, self.log)
            ),
        ]
        await self.broker.start()
        self.log.info("service.started", durables=[listening.durable for listening in self.consumers])

    async def stop(self) -> None:
        """Finish or give back what is in hand, publish what is committed, close."""
        self.faults.stopping = True
        # Graceful: no further fetch, running handlers get graceful_stop_s.
        for subscriber in self.broker.subscribers:
            await subscriber.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):  # what cannot be published now waits in the outbox
            async with asyncio.timeout(self.settings.graceful_stop_s):
                while await self.outbox.relay_once():
                    pass
        for hook in self._stopping:
            await hook()
        await self.broker.stop()
        self.database.close()
        self.log.info("service.stopped")

    def _listen(self, durable: str, handler: Handler | None, batch: BatchHandler | None) -> None:
        declared = consumer(durable)
        if declared.service != self.name:
            raise ValueError(f"durable {durable!r} belongs to {declared.service}, not to {self.name}")
        policy = DeliveryPolicy(
            declared,
            handler,
            batch,
            retry_delays_s=self.settings.retry_delays_s,
            ledger=self._ledger,
            dead_letters=self._dead_letters,
            metrics=self.metrics,
            log=self.log,
        )
        self._policies.append(policy)
        attach(self.broker, self.name, declared, policy.consume)

    def _checks(self) -> dict[str, Callable[[], Awaitable[object]]]:
        async def broker() -> None:
            if self.faults.forbidden:
                raise PermissionError(self.faults.forbidden)
            await check_durables(self.jetstream, self.consumers)

        async def store() -> None:
            await asyncio.to_thread(self.store.ping, Buckets.LIBRARY)

        async def database() -> None:
            await self.database.read(lambda connection: connection.execute(sa.text("SELECT 1")))

        return {"broker": broker, "store": store, "database": database}

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def _live(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self, _request: Request) -> Response:
        checks = await self._health.ready()
        waiting = await self.outbox.waiting() if checks["database"] == "ok" else None
        good = all(state == "ok" for state in checks.values())
        body = {"service": self.name, "ready": good, "checks": checks, "outbox_waiting": waiting}
        return JSONResponse(body, 200 if good else 503)

    async def _metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), media_type="text/plain; version=0.0.4")
