"""What a command does first: find the stack of its data directory and open what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from services.ops.clients.bus import Bus
    from services.ops.clients.library import Library, Param
    from services.ops.clients.reads import Reporter
    from services.ops.stack.record import Connection

T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """An open stack: the read model and the broker."""

    stack: Connection
    reporter: Reporter
    bus: Bus


def find_stack(data_dir: Path | None) -> Connection:
    """The running stack of ``data_dir``.

    Raises:
        NotRunning: there is none.
    """
    from services.ops.stack.layout import Layout, default_data_dir
    from services.ops.stack.record import connect_to

    return connect_to(Layout((data_dir or default_data_dir()).expanduser().resolve()))


@asynccontextmanager
async def open_session(data_dir: Path | None) -> AsyncIterator[Session]:
    """Read model and broker of the running stack."""
    from services.ops.clients.bus import open_bus
    from services.ops.clients.reads import open_reporter

    stack = find_stack(data_dir)
    async with (
        open_reporter(stack.urls["reporter"], stack.api_token) as reporter,
        open_bus(stack.urls["nats"], stack.ops_password) as bus,
    ):
        yield Session(stack, reporter, bus)


@asynccontextmanager
async def open_ingest(data_dir: Path | None) -> AsyncIterator[Library]:
    """The library of the running stack."""
    async with _open(data_dir, "ingest") as library:
        yield library


@asynccontextmanager
async def open_dedup(data_dir: Path | None) -> AsyncIterator[Library]:
    """What looks alike, as the running stack's dedup knows it."""
    async with _open(data_dir, "dedup") as dedup:
        yield dedup


@asynccontextmanager
async def open_trainer(data_dir: Path | None) -> AsyncIterator[Library]:
    """The data sets of the running stack's models."""
    async with _open(data_dir, "trainer") as trainer:
        yield trainer


@asynccontextmanager
async def open_evaluator(data_dir: Path | None) -> AsyncIterator[Library]:
    """What the running stack's evaluator says of images and models."""
    async with _open(data_dir, "evaluator") as evaluator:
        yield evaluator


@asynccontextmanager
async def _open(data_dir: Path | None, service: str) -> AsyncIterator[Library]:
    from services.ops.clients.library import open_library

    stack = find_stack(data_dir)
    async with open_library(stack.urls[service], stack.api_token, service) as opened:
        yield opened


async def read_ingest(data_dir: Path | None, path: str, **params: Param) -> dict[str, Any]:
    """One answer of the library's HTTP API."""
    async with open_ingest(data_dir) as library:
        found: dict[str, Any] = await library.get(path, **params)
    return found


async def command_ingest(data_dir: Path | None, name: str, **fields: Any) -> dict[str, Any]:
    """The outcome of one command of contracts/commands.py."""
    async with open_ingest(data_dir) as library:
        return await library.command(name, **fields)


async def read_dedup(data_dir: Path | None, path: str, **params: Param) -> dict[str, Any]:
    """One answer of dedup's HTTP API."""
    async with open_dedup(data_dir) as dedup:
        found: dict[str, Any] = await dedup.get(path, **params)
    return found


async def command_dedup(data_dir: Path | None, name: str, **fields: Any) -> dict[str, Any]:
    """The outcome of one command that dedup hears."""
    async with open_dedup(data_dir) as dedup:
        return await dedup.command(name, **fields)


async def read_evaluator(data_dir: Path | None, path: str, **params: Param) -> dict[str, Any]:
    """One answer of the evaluator's HTTP API."""
    async with open_evaluator(data_dir) as evaluator:
        found: dict[str, Any] = await evaluator.get(path, **params)
    return found


async def command_evaluator(data_dir: Path | None, name: str, **fields: Any) -> dict[str, Any]:
    """The outcome of one command that the evaluator hears."""
    async with open_evaluator(data_dir) as evaluator:
        return await evaluator.command(name, **fields)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)
