"""Sending files to ingest: batches in file order, a few in flight, each repeated until it is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from services.ops.clients.errors import OpsError, Unreachable
from services.ops.clients.plan import PlannedFile
from services.ops.clients.retry import OUTAGE_S, persist

BATCH_FILES = 32
BATCH_BYTES = 48 * 2**20
"""One file of the largest size ingest takes (32 MiB) and some small ones; bounds the memory of both ends."""
IN_FLIGHT = 3
ANSWER_TIMEOUT_S = 60.0
BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
"""Answers that another try may change: timeouts, overload, a store or a database that is away."""


REFUSED_STATUS = frozenset({400, 413, 415, 422})
"""Answers that speak of the files, not of the caller."""


def batches(files: Sequence[PlannedFile], sizes: Sequence[int]) -> list[tuple[PlannedFile, ...]]:
    """Cut ``files`` into batches, in order, within the limits on files and bytes."""
    cut: list[tuple[PlannedFile, ...]] = []
    batch: list[PlannedFile] = []
    held = 0
    for file, size in zip(files, sizes, strict=True):
        if batch and (len(batch) == BATCH_FILES or held + size > BATCH_BYTES):
            cut.append(tuple(batch))
            batch, held = [], 0
        batch.append(file)
        held += size
    return [*cut, tuple(batch)] if batch else cut


@dataclass
class UploadOutcome:
    """What ingest took, and what it refused for good with its reason."""

    received: dict[str, str] = field(default_factory=dict)
    """Image id by upload id."""
    refused: dict[str, str] = field(default_factory=dict)
    """Reason by upload id."""


class Refused(OpsError):
    """Ingest will never take this batch as it is."""


class Uploader:
    """Ingest's HTTP upload; a repeated batch carries the same upload ids, so nothing counts twice."""

    def __init__(self, base_url: str, token: str, patience_s: float = OUTAGE_S) -> None:
        self._url = f"{base_url}/api/v1/images"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._patience_s = patience_s

    async def upload(
        self, files: Sequence[PlannedFile], on_sent: Callable[[int], None] = lambda count: None
    ) -> UploadOutcome:
        """Send ``files``; a file that is refused does not take its neighbours along.

        Raises:
            OpsError: a file vanished, the token is wrong, or ingest was away longer than the patience.
        """
        outcome = UploadOutcome()
        slots = asyncio.Semaphore(IN_FLIGHT)
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, headers=self._headers) as client:

            async def send(batch: tuple[PlannedFile, ...]) -> None:
                async with slots:
                    await self._send(client, batch, outcome)
                    on_sent(len(batch))

            sizes = [_size(file) for file in files]
            try:
                async with asyncio.TaskGroup() as group:
                    for batch in batches(files, sizes):
                        group.create_task(send(batch))
            except ExceptionGroup as failures:  # `except*` of early 3.11 wraps what is raised in it
                if failures.split(OpsError)[1] is not None:
                    raise
                left = len(files) - len(outcome.received) - len(outcome.refused)
                raise OpsError(
                    f"{left} of {len(files)} files were not taken: {failures.exceptions[0]}; "
                    "run the same upload again, files already there do not count twice"
                ) from failures
        return outcome

    async def _send(
        self, client: httpx.AsyncClient, batch: tuple[PlannedFile, ...], outcome: UploadOutcome
    ) -> None:
        body = await asyncio.to_thread(_read, batch)
        try:
            taken = await persist(lambda: self._post(client, batch, body), patience_s=self._patience_s)
            outcome.received.update(taken)
        except Refused as error:
            if len(batch) == 1:
                outcome.refused[batch[0].upload_id] = str(error)
                return
            for file in batch:
                await self._send(client, (file,), outcome)

    async def _post(
        self, client: httpx.AsyncClient, batch: tuple[PlannedFile, ...], body: Sequence[bytes]
    ) -> dict[str, str]:
        parts = [
            # The real name travels in ``meta``; a part's own name would have to be escaped.
            ("files", (f"{number}", data, "application/octet-stream"))
            for number, data in enumerate(body)
        ]
        meta = json.dumps([file.meta() for file in batch])
        try:
            answer = await client.post(self._url, data={"meta": meta}, files=parts)
        except httpx.TransportError as error:
            raise Unreachable(
                f"ingest at {self._url} does not answer ({type(error).__name__}): "
                "start it with `menagerie up`"
            ) from error
        if answer.status_code in BUSY_STATUS:
            raise Unreachable(f"ingest cannot take files now ({_detail(answer)}): see `menagerie status`")
        if answer.status_code in REFUSED_STATUS:
            raise Refused(_detail(answer))
        if answer.is_error:
            raise OpsError(f"ingest refuses uploads ({_detail(answer)})")
        return {entry["upload_id"]: entry["image_id"] for entry in answer.json()["received"]}


def _size(file: PlannedFile) -> int:
    if file.data is not None:
        return len(file.data)
    try:
        return file.path.stat().st_size
    except OSError as error:
        raise OpsError(
            f"{file.path} cannot be read ({error.strerror}): put it back or leave it out"
        ) from error


def _read(batch: Sequence[PlannedFile]) -> list[bytes]:
    try:
        return [file.path.read_bytes() if file.data is None else file.data for file in batch]
    except OSError as error:
        raise OpsError(
            f"{error.filename} cannot be read ({error.strerror}): put it back or leave it out"
        ) from error


def _detail(answer: httpx.Response) -> str:
    """What the server says of its error, shortened to one line."""
    text = " ".join(answer.text.split())[:300]
    return f"HTTP {answer.status_code}: {text}" if text else f"HTTP {answer.status_code}"
