"""Waiting until a request's outcome stands in the read model; outages on the way are sat out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import ValidationError

from contracts.commands import RequestTraining
from contracts.events import SnapshotProgressed
from contracts.message import Message
from services.ops.clients.bus import Bus
from services.ops.clients.errors import OpsError
from services.ops.clients.reads import Reporter
from services.ops.clients.retry import poll

Row = dict[str, Any]
DEAD_LETTERS_EVERY = 10
"""Polls between two looks at the dead letters: a request that was put aside would be waited for in vain."""


async def first_row(reporter: Reporter, path: str, key: str, fits: Callable[[Row], bool]) -> Row | None:
    """The first row of a list that fits."""
    async for row in reporter.rows(path, key):
        if fits(row):
            return row
    return None


async def answered(
    reporter: Reporter,
    read: Callable[[], Awaitable[Row | None]],
    *,
    what: str,
    timeout_s: float,
    request: Message | None = None,
    every_s: float = 0.5,
) -> Row:
    """What ``read`` finds, or the error of the dead letter that ``request`` became."""
    polls = 0

    async def look() -> Row | None:
        nonlocal polls
        found = await read()
        polls += 1
        if found is None and request is not None and polls % DEAD_LETTERS_EVERY == 0:
            await refuse_if_dead(reporter, request)
        return found

    return await poll(look, what=what, timeout_s=timeout_s, every_s=every_s)


async def refuse_if_dead(reporter: Reporter, request: Message) -> None:
    """Raise the error that put ``request`` aside, if one did."""
    wanted = request.message_id()
    letter = await first_row(
        reporter, "/api/v1/dead-letters", "dead_letters", lambda row: row.get("source_message_id") == wanted
    )
    if letter is not None:
        raise OpsError(
            f"{letter['service']} put the request aside ({letter['error']}): mend the cause, then "
            f"`menagerie dead-letters replay {letter['dead_letter_id']}`"
        )


async def packed_snapshot(reporter: Reporter, request: Message, timeout_s: float) -> Row:
    """The snapshot that answers ``request``."""
    wanted = getattr(request, "request_id", None)
    return await answered(
        reporter,
        lambda: first_row(
            reporter, "/api/v1/snapshots", "snapshots", lambda row: row.get("request_id") == wanted
        ),
        what="the snapshot",
        timeout_s=timeout_s,
        request=request,
    )


@asynccontextmanager
async def packing_progress(
    bus: Bus, request: Message, on_progress: Callable[[int, int], None]
) -> AsyncIterator[None]:
    """While it is open, ``on_progress`` hears how many images are packed of how many.

    What is said while the broker is away is not heard: the next event tells all of it.
    """
    wanted = getattr(request, "request_id", None)

    async def hear() -> None:
        async for _, body in bus.follow(SnapshotProgressed.subject()):
            with suppress(ValidationError):
                said = SnapshotProgressed.model_validate_json(body)
                if said.request_id == wanted:
                    on_progress(said.images_done, said.images)

    hearing = asyncio.create_task(hear())
    try:
        yield
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def newest_snapshot(reporter: Reporter) -> Row:
    """The snapshot that was packed last.

    Raises:
        OpsError: there is none.
    """
    rows = await _all(reporter, "/api/v1/snapshots", "snapshots")
    if not rows:
        raise OpsError("no snapshot is packed yet: run `menagerie snapshot` first")
    return max(rows, key=lambda row: str(row["packed_at"]))


async def all_models(reporter: Reporter) -> list[Row]:
    """Every registered model, by version."""
    rows = await _all(reporter, "/api/v1/models", "models")
    return sorted(rows, key=lambda row: int(row["version"]))


async def model(reporter: Reporter, version: str) -> Row | None:
    """One model, None when it is not registered."""
    return next((row for row in await all_models(reporter) if row["version"] == version), None)


async def chosen_model(reporter: Reporter, version: str | None) -> Row:
    """The model of that version, or the newest that is no throw-away run.

    Raises:
        OpsError: there is none.
    """
    rows = await all_models(reporter)
    if version is None:
        rows = [row for row in rows if not row["throw_away"]]
        if not rows:
            raise OpsError("no model is registered yet: run `menagerie train --wait` first")
        return rows[-1]
    for row in rows:
        if row["version"] == version:
            return row
    known = ", ".join(row["version"] for row in rows) or "none"
    raise OpsError(f"no model {version!r} is registered (there are: {known}): see `menagerie models`")


async def finished_run(
    reporter: Reporter,
    request: RequestTraining,
    timeout_s: float,
    on_epoch: Callable[[Row], None] = lambda epoch: None,
) -> Row:
    """The run once it ended, with its epochs; ``on_epoch`` hears each epoch once, as it comes."""
    shown: set[int] = set()

    async def read() -> Row | None:
        found = await reporter.get(f"/api/v1/runs/{request.run_id}")
        for epoch in found["epochs"] if found else ():
            if epoch["epoch"] not in shown:
                shown.add(epoch["epoch"])
                on_epoch(epoch)
        return found if found and found["outcome"] else None

    return await answered(
        reporter, read, what=f"the end of run {request.run_id}", timeout_s=timeout_s, request=request
    )


def failure_of(run: Row) -> str | None:
    """The sentence of a run that ended without a result."""
    outcome = run["outcome"]
    return (
        f"{outcome['error']}: {outcome['remedy'] or 'see the log of the trainer'}"
        if outcome["error"]
        else None
    )


async def changed_model(
    reporter: Reporter,
    version: str,
    moment: str,
    before: Row | None,
    timeout_s: float,
    request: Message | None = None,
) -> Row:
    """The model once ``moment`` (``scored_at`` or ``exported_at``) is set, and is not that of ``before``."""
    former = before.get(moment) if before else None

    async def read() -> Row | None:
        row = await model(reporter, version)
        return row if row and row[moment] and row[moment] != former else None

    what = f"the {'scoring' if moment == 'scored_at' else 'export'} of model {version}"
    return await answered(reporter, read, what=what, timeout_s=timeout_s, request=request)


async def bulk_runs(reporter: Reporter, version: str) -> list[Row]:
    """Bulk runs of a model, the newest first."""
    return [row for row in (await reporter.summary())["bulk"]["runs"] if row["model_version"] == version]


async def completed_bulk(
    reporter: Reporter, version: str, known: frozenset[str], timeout_s: float, request: Message | None = None
) -> Row:
    """The first completed bulk run of the model whose id is not among ``known``, with all its pages heard."""

    async def read() -> Row | None:
        for row in await bulk_runs(reporter, version):
            done = row["state"] == "completed" and row.get("heard", row["identified"]) == row["identified"]
            if done and row["run_id"] not in known:
                return row
        return None

    what = f"the bulk identification by model {version}"
    return await answered(reporter, read, what=what, timeout_s=timeout_s, request=request)


async def _all(reporter: Reporter, path: str, key: str) -> list[Row]:
    return [row async for row in reporter.rows(path, key)]
