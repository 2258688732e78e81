"""Provisioning as one call, for the command line and the one-machine stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from deploy.provision.buckets import provision_buckets
from deploy.provision.changes import Change, ProvisionError
from deploy.provision.settings import ProvisionSettings
from deploy.provision.streams import provision_streams, undeclared
from services.runtime.objectstore import ObjectStore

ANSWER_TIMEOUT_S = 15.0
"""Each made stream is synced several times; a busy disk takes seconds."""
RETRY_S = 0.5


async def provision(settings: ProvisionSettings) -> list[Change]:
    """Make broker and store as declared; a second call changes nothing.

    Raises:
        ProvisionError: something there cannot be made so, or a server does not answer.
    """
    broker, buckets = await asyncio.gather(provision_broker(settings), provision_store(settings))
    return [*broker, *buckets]


async def provision_broker(settings: ProvisionSettings) -> list[Change]:
    """The broker's half."""
    async with _jetstream(settings) as js:
        return await provision_streams(js, settings.stream_replicas)


async def provision_store(settings: ProvisionSettings) -> list[Change]:
    """The store's half."""
    try:
        return await asyncio.to_thread(provision_buckets, ObjectStore(settings))
    except Exception as error:  # the SDK raises its own, urllib3's and the operating system's
        place = f"object store {settings.s3_endpoint}"
        raise ProvisionError(f"{place} could not be provisioned: {error}") from error


async def find_undeclared(settings: ProvisionSettings) -> list[str]:
    """Durables that stand on our streams and are declared nowhere."""
    async with _jetstream(settings) as js:
        return await undeclared(js)


@asynccontextmanager
async def _jetstream(settings: ProvisionSettings) -> AsyncIterator[JetStreamContext]:
    client = await _connect(settings)
    try:
        yield client.jetstream(timeout=ANSWER_TIMEOUT_S)
    except (NatsError, TimeoutError) as error:
        raise ProvisionError(f"NATS at {settings.nats_url} failed: {error!r}") from error
    finally:
        await client.close()


async def _connect(settings: ProvisionSettings) -> Client:
    """Patient with a server that is starting, not with one that knows us and says no."""
    deadline = time.monotonic() + settings.connect_timeout_s
    user = settings.nats_user

    async def silent(_: Exception) -> None:
        """What matters is raised by the call that failed."""

    while True:
        try:
            return await nats.connect(
                settings.nats_url,
                user=user,
                password=settings.nats_password.get_secret_value(),
                name="provision",
                inbox_prefix=f"_INBOX.{user}",
                error_cb=silent,
                allow_reconnect=False,
            )
        except (NatsError, OSError) as error:
            if "authorization" in str(error).lower() or time.monotonic() > deadline:
                raise ProvisionError(
                    f"NATS at {settings.nats_url} does not let user {user!r} in ({error!r}): "
                    "check that it runs, and MENAGERIE_NATS_URL, _USER and _PASSWORD"
                ) from error
        await asyncio.sleep(RETRY_S)
