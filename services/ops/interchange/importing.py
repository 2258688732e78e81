"""A source into the library: read in groups, sent by the uploader, followed until all is settled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from contracts.values import Source
from services.ops.clients.library import Library
from services.ops.clients.plan import PlannedFile, told_name
from services.ops.clients.retry import poll
from services.ops.clients.ulid import UlidSource
from services.ops.clients.uploads import Uploader
from services.ops.interchange.formats import Found
from services.ops.interchange.records import Row

GROUP_ROWS = 256
GROUP_BYTES = 128 * 2**20
"""Content of tar members held in memory at once."""
ASKED_AT_ONCE = 100
SETTLED = frozenset({"accepted", "repeated", "rejected"})
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Defaults:
    """What holds where the source says nothing, and who imports."""

    source: Source = Source.REAL
    uploaded_by: str = "import"


@dataclass
class Account:
    """What became of every entry; ``found`` = sent + problems."""

    found: int = 0
    labelled: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    labels: set[str] = field(default_factory=set)
    suggestions: int = 0
    """What models said; not taken in."""
    sent: dict[str, str] = field(default_factory=dict)
    """Place in the source by upload id."""
    other_bytes: int = 0
    """Files that are not the bytes their ``image_id`` names: normalised pictures, or changed ones."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Place and reason of everything that was refused, by us, by ingest's door or by its decoder."""
    outcomes: Counter[str] = field(default_factory=Counter)

    def note(self, row: Row) -> None:
        """Count an entry as it was read."""
        self.found += 1
        self.suggestions += row.suggestions
        if row.problem is not None:
            self.problems.append((row.where, row.problem))
        elif row.record is not None and row.record.label is not None:
            self.labelled += 1
            self.labels.add(row.record.label)
            kind = row.record.label_kind
            self.kinds[kind.value if kind else "not said"] += 1


def survey(found: Found) -> Account:
    """Read all of it and send nothing."""
    account = Account()
    for row in found.rows():
        account.note(row)
    return account


async def send(found: Found, uploader: Uploader, defaults: Defaults, advance: Advance) -> Account:
    """Send every entry that can be used; the same source again only makes exact duplicates.

    Raises:
        OpsError: ingest was away too long or refuses the token.
    """
    account = Account()
    ids = UlidSource()
    async for group in _groups(found.rows()):
        for row in group:
            account.note(row)
        files = [_planned(row, ids.next(), defaults) for row in group if row.record is not None]
        rows = [row for row in group if row.record is not None]
        outcome = await uploader.upload(files)
        for file, row in zip(files, rows, strict=True):
            if file.upload_id in outcome.refused:
                account.problems.append((row.where, outcome.refused[file.upload_id]))
                continue
            account.sent[file.upload_id] = row.where
            assert row.record is not None
            named = row.record.image_id
            account.other_bytes += named is not None and named != outcome.received[file.upload_id]
        advance(len(group))
    return account


def _planned(row: Row, upload_id: str, defaults: Defaults) -> PlannedFile:
    record, picture = row.record, row.picture
    assert record is not None
    assert picture is not None
    return PlannedFile(
        path=Path(row.where) if isinstance(picture, bytes) else picture,
        data=picture if isinstance(picture, bytes) else None,
        file_name=record.file_name or told_name(record.file or ""),
        upload_id=upload_id,
        label=record.label,
        label_kind=record.label_kind,
        source=record.source or defaults.source,
        guest=record.guest,
        visit=record.visit,
        taken_at=record.taken_at,
        tags=record.tags,
        upstream_id=record.upstream_id,
        benchmark=record.benchmark,
        uploaded_by=defaults.uploaded_by,
    )


async def _groups(rows: Iterator[Row]) -> AsyncIterator[list[Row]]:
    """Rows a group at a time, read in a thread: pictures of a tar come with their bytes."""

    def next_group() -> list[Row]:
        group: list[Row] = []
        held = 0
        for row in islice(rows, GROUP_ROWS):
            group.append(row)
            held += len(row.picture) if isinstance(row.picture, bytes) else 0
            if held > GROUP_BYTES:
                break
        return group

    while group := await asyncio.to_thread(next_group):
        yield group


async def follow(library: Library, account: Account, timeout_s: float) -> None:
    """Wait for the outcome of everything that was sent, at most ``timeout_s`` for the next hundred.

    Raises:
        OpsError: ingest did not settle them in time.
    """
    ids = list(account.sent)
    for start in range(0, len(ids), ASKED_AT_ONCE):
        asked = ids[start : start + ASKED_AT_ONCE]
        for row in await _settled(library, asked, timeout_s):
            account.outcomes[row["state"]] += 1
            if row["state"] == "rejected":
                reason = f"rejected as {row['code']}: {row['detail']}"
                account.problems.append((account.sent[row["upload_id"]], reason))


async def _settled(library: Library, ids: Sequence[str], timeout_s: float) -> list[dict[str, str]]:
    async def ask() -> list[dict[str, str]] | None:
        page = await library.get("/api/v1/uploads", upload_id=ids, limit=len(ids))
        rows: list[dict[str, str]] = page["uploads"]
        return rows if sum(row["state"] in SETTLED for row in rows) == len(ids) else None

    return await poll(ask, what="the outcome of every picture", timeout_s=timeout_s)
