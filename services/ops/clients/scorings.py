"""What the evaluator says of scorings and comparisons, heard from the log: no read model keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from pydantic import ValidationError

from contracts.events import ModelRescored, ModelsCompared, ScoringProgressed
from contracts.message import Message
from services.ops.clients.bus import Bus
from services.ops.clients.following import Row, answered
from services.ops.clients.reads import Reporter


async def told(
    bus: Bus,
    reporter: Reporter,
    kind: type[ModelRescored] | type[ModelsCompared],
    since: int,
    request: Message,
    *,
    what: str,
    timeout_s: float,
) -> Row:
    """The message of ``kind`` that answers ``request``, of those behind place ``since`` in the log.

    Raises:
        OpsError: the request was put aside, or nothing came in time.
    """
    wanted, place = getattr(request, "request_id", None), since

    async def read() -> Row | None:
        nonlocal place
        while (found := await bus.next_said(kind, place)) is not None:
            place = found.seq or place + 1
            with suppress(ValidationError):
                said = kind.model_validate_json(found.data or b"")
                if said.request_id == wanted:
                    return said.model_dump(mode="json")
        return None

    return await answered(reporter, read, what=what, timeout_s=timeout_s, request=request, every_s=1.0)


@asynccontextmanager
async def scoring_progress(
    bus: Bus, request: Message, on_progress: Callable[[int, int], None]
) -> AsyncIterator[None]:
    """While it is open, ``on_progress`` hears how many images are scored of how many."""
    wanted = getattr(request, "request_id", None)

    async def hear() -> None:
        async for _, body in bus.follow(ScoringProgressed.subject()):
            with suppress(ValidationError):
                said = ScoringProgressed.model_validate_json(body)
                if said.request_id == wanted:
                    on_progress(said.scored, said.images)

    hearing = asyncio.create_task(hear())
    try:
        yield
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
