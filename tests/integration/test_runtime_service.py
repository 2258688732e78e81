"""A service as a process: what it tells of itself, and when it gives up."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from contracts.events import ImageLabelled
from contracts.values import LabelKind
from services.runtime.broker import EXIT_CLOSED, EXIT_NOT_PROVISIONED
from services.runtime.service import Service
from tests.support.probe import (
    DURABLE,
    STREAM,
    Deliveries,
    connect,
    declare,
    probe_service,
    probe_settings,
    request,
    say,
    until,
    until_quiet,
)
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration


async def ignore(batch: Deliveries) -> None:
    """Every message succeeds."""


def asker(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service.asgi()), base_url="http://probe")


async def test_ready_is_a_round_trip_to_broker_store_and_database(
    nats_url: str, weed: S3Server, tmp_path: Path
) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    weed.store()  # makes the buckets
    place = weed.settings.model_dump(include={"s3_endpoint", "s3_access_key", "s3_secret_key"})
    service = probe_service(probe_settings(nats_url, tmp_path, **place), batch=ignore)
    await service.start()
    try:
        async with asker(service) as http:
            answer = await http.get("/health/ready")
            assert answer.status_code == 200
            assert answer.json()["checks"] == {"broker": "ok", "store": "ok", "database": "ok"}
            assert (await http.get("/health/live")).status_code == 200

            await js.delete_consumer(STREAM, DURABLE)
            service._health._asked = float("-inf")  # do not wait for the answer to grow old
            answer = await http.get("/health/ready")
            assert answer.status_code == 503
            assert "deploy.provision" in answer.json()["checks"]["broker"]
    finally:
        await service.stop()
        await client.close()


async def test_a_store_that_is_away_turns_readiness_red_and_says_why(nats_url: str, tmp_path: Path) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    settings = probe_settings(nats_url, tmp_path, s3_endpoint="127.0.0.1:1")
    service = probe_service(settings, batch=ignore)
    await service.start()
    try:
        async with asker(service) as http:
            answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["store"] != "ok"
        assert answer.json()["checks"]["broker"] == "ok"
    finally:
        await service.stop()
        await client.close()


async def test_a_permission_that_was_refused_turns_readiness_red(nats_url: str, tmp_path: Path) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, tmp_path), batch=ignore)
    await service.start()
    try:
        await service.faults.on_error(Exception('nats: permissions violation for publish to "x"'))
        async with asker(service) as http:
            checks = (await http.get("/health/ready")).json()["checks"]
        assert "permissions violation" in checks["broker"]
    finally:
        await service.stop()
        await client.close()


async def test_metrics_count_deliveries_by_outcome(nats_url: str, tmp_path: Path) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, tmp_path), batch=ignore)
    await service.start()
    try:
        await say(js, *(request(number) for number in range(5)))
        await until_quiet(js)
        async with asker(service) as http:
            text = (await http.get("/metrics")).text
    finally:
        await service.stop()
        await client.close()
    assert f'menagerie_messages_total{{durable="{DURABLE}",outcome="done"}} 5.0' in text
    assert f'menagerie_messages_in_hand{{durable="{DURABLE}"}} 0.0' in text


async def test_a_trace_goes_on_from_the_message_heard_to_the_message_said(
    nats_url: str, tmp_path: Path
) -> None:
    trace.set_tracer_provider(TracerProvider())
    client, js = await connect(nats_url)
    await declare(js)
    service: Service

    async def handler(batch: Deliveries) -> None:
        message = batch[0].message
        fact = ImageLabelled(
            image_id=message.image_id,
            revision=1,
            label=message.label,
            kind=LabelKind.CLASS,
            by=message.by,
            labelled_at=message.requested_at,
        )
        await service.database.run(lambda unit: unit.emit(fact))

    service = probe_service(probe_settings(nats_url, tmp_path), batch=handler)
    await service.start()
    try:
        with trace.get_tracer("test").start_as_current_span("ask") as span:
            await say(js, request(1))

        async def said() -> bool:
            return bool((await js.stream_info("IMAGES")).state.messages == 1)

        await until(said)
        published = await js.get_msg("IMAGES", 1)
    finally:
        await service.stop()
        await client.close()
    assert published.headers is not None
    assert f"{span.get_span_context().trace_id:032x}" in published.headers["traceparent"]


async def test_a_service_whose_durable_vanishes_ends_instead_of_spinning(
    nats_url: str, tmp_path: Path
) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    async with mortal(nats_url, tmp_path) as process:
        await js.delete_consumer(STREAM, DURABLE)
        assert await asyncio.wait_for(process.wait(), 60) == EXIT_NOT_PROVISIONED
    await client.close()


async def test_a_service_whose_connection_is_closed_for_good_ends(nats_url: str, tmp_path: Path) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    async with mortal(nats_url, tmp_path, "close") as process:
        assert await asyncio.wait_for(process.wait(), 60) == EXIT_CLOSED
    await client.close()


@contextlib.asynccontextmanager
async def mortal(nats_url: str, folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A started service process; it does not outlive the test, whatever it does."""
    command = [sys.executable, "-m", "tests.support.mortal", nats_url, str(folder), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"started\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
