"""What people said of pairs; nothing is deleted, and of two words on a pair the later counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from contracts.commands import ResolveDuplicate
from contracts.values import ImageId
from services.dedup.domain.pairs import PairKey, Word, pair_key
from services.dedup.store.images import chunks
from services.dedup.store.tables import handled_request, resolution


class StoredResolution(NamedTuple):
    """One duplicate.resolve, undone or not."""

    key: PairKey
    keep: ImageId | None
    undone_by: str | None


def note_resolution(connection: sa.Connection, command: ResolveDuplicate) -> None:
    """Remember a person's word."""
    image_id, other_id = pair_key(command.image_id, command.other_id)
    row = {
        "request_id": command.request_id,
        "image_id": image_id,
        "other_id": other_id,
        "keep": command.keep,
        "by": command.by,
        "reason": command.reason,
        "requested_at": command.requested_at,
    }
    connection.execute(sa.insert(resolution).values(row))


def resolution_of(connection: sa.Connection, request_id: str) -> StoredResolution | None:
    """The resolution of that request."""
    query = sa.select(resolution).where(resolution.c.request_id == request_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredResolution((row.image_id, row.other_id), row.keep, row.undone_by)


def take_back(connection: sa.Connection, request_id: str, undone_by: str) -> None:
    """Note that a resolution counts no more."""
    connection.execute(
        sa.update(resolution).where(resolution.c.request_id == request_id).values(undone_by=undone_by)
    )


def words_on(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[PairKey, Word]:
    """The word that counts on each pair with one of ``image_ids`` in it."""
    words: dict[PairKey, Word] = {}
    for chunk in chunks(image_ids):
        for column in (resolution.c.image_id, resolution.c.other_id):
            query = sa.select(resolution).where(column.in_(chunk), resolution.c.undone_by.is_(None))
            for row in connection.execute(query):
                key, word = (row.image_id, row.other_id), _word(row)
                if key not in words or words[key].order < word.order:
                    words[key] = word
    return words


def words_around(connection: sa.Connection, image_ids: Collection[ImageId]) -> dict[PairKey, Word]:
    """The words that count on all pairs that hang together, over whatever steps, with ``image_ids``."""
    words: dict[PairKey, Word] = {}
    seen: set[ImageId] = set()
    frontier = set(image_ids)
    while frontier:
        seen |= frontier
        found = words_on(connection, frontier)
        words |= found
        frontier = {image_id for key in found for image_id in key} - seen
    return words


def outcome_of(connection: sa.Connection, request_id: str) -> tuple[str, dict[str, Any]] | None:
    """Name and outcome of a handled request."""
    query = sa.select(handled_request).where(handled_request.c.request_id == request_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.name, row.outcome)


def keep_outcome(
    connection: sa.Connection, request_id: str, name: str, outcome: dict[str, Any], at: datetime
) -> None:
    """Note the request as handled."""
    row = {"request_id": request_id, "name": name, "outcome": outcome, "handled_at": at}
    connection.execute(sa.insert(handled_request).values(row))


def _word(row: sa.Row[Any]) -> Word:
    asked: datetime = row.requested_at
    # SQLite keeps no time zone; what was stored is UTC.
    return Word(row.keep, row.by, row.reason, row.request_id, asked.replace(tzinfo=asked.tzinfo or UTC))
