"""The real reporter on a migrated database, with or without a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from nats.js import JetStreamContext

from contracts.message import Message
from deploy.migrate import upgrade
from services.reporter.app import create_app
from services.reporter.eventlog import EventLog
from services.reporter.rebuild import HEARD, Rebuild
from services.reporter.settings import ReporterSettings
from services.reporter.store import metadata
from services.reporter.web.application import build_application
from services.runtime.database import Database
from services.runtime.envelope import encode
from services.runtime.objectstore import ObjectStore
from services.runtime.service import Service
from tests.support.probe import until_quiet
from tests.support.servers import Broker, S3Server

ADDRESS = "http://127.0.0.1"
TOKEN = "a-token-of-the-test"


def migrated(database_url: str) -> Database:
    """A database with the reporter's tables and views."""
    upgrade("reporter", database_url)
    return Database(database_url, metadata, "reporter", "house")


def address_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """An empty database of that kind, for fixtures that outlive one test."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/shared.sqlite"
    return str(request.getfixturevalue("postgres").new_database())


def page_settings(database_url: str, **changes: Any) -> ReporterSettings:
    """Settings with a known token."""
    return ReporterSettings.model_validate({"database_url": database_url, "api_token": TOKEN} | changes)


def application(database: Database, settings: ReporterSettings, store: ObjectStore | None = None) -> FastAPI:
    """The HTTP side alone; there is no log to rebuild from."""

    async def no_log() -> EventLog:
        raise ConnectionError("this test has no broker")

    return build_application(settings, database, store or ObjectStore(settings), Rebuild(database, no_log))


def client(app: Any, **options: Any) -> httpx.AsyncClient:
    """Asks ``app`` without a socket."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS, **options)


def reporter(broker: Broker, s3: S3Server, database_url: str, work_dir: Path, **changes: Any) -> Service:
    """The service with its own NATS user, not yet started."""
    upgrade("reporter", database_url)
    mine = broker.settings("reporter")
    values: dict[str, Any] = {
        "nats_url": mine.nats_url,
        "nats_user": mine.nats_user,
        "nats_password": mine.nats_password,
        "s3_endpoint": s3.settings.s3_endpoint,
        "s3_access_key": s3.settings.s3_access_key,
        "s3_secret_key": s3.settings.s3_secret_key,
        "database_url": database_url,
        "work_dir": work_dir,
        "retry_delays_s": (0.1, 0.2),
        "api_token": TOKEN,
    }
    return create_app(ReporterSettings.model_validate(values | changes))


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The service started, and a client of its HTTP side."""
    await service.start()
    try:
        async with client(service.asgi()) as http:
            yield http
    finally:
        await service.stop()


async def publish(js: JetStreamContext, messages: Sequence[Message]) -> None:
    """Say all of them, many in flight, in their order."""
    pending = []
    for message in messages:
        body, headers = encode(message, "test")
        pending.append(
            await js.publish_async(message.subject(), body, stream=message.stream(), headers=headers)
        )
    for confirmed in pending:
        await confirmed


async def until_settled(js: JetStreamContext) -> None:
    """Until the reporter has handled everything that is stored."""
    for heard in HEARD:
        await until_quiet(js, heard.durable, heard.stream)
