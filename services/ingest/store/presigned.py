"""Uploads that were promised a presigned PUT and are not confirmed yet, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.ingest.store.tables import presigned
from services.runtime.database import upsert


@dataclass(frozen=True)
class Promise:
    """``meta`` is what the uploader says of the file, JSON; ``key`` is in bucket incoming."""

    upload_id: str
    key: str
    meta: dict[str, Any]
    expires_at: datetime


def keep_promises(connection: sa.Connection, promises: Sequence[Promise]) -> None:
    """Note the promises; one that is made again holds longer and says what was said last."""
    rows = [
        {"upload_id": one.upload_id, "key": one.key, "meta": one.meta, "expires_at": one.expires_at}
        for one in promises
    ]
    upsert(connection, presigned, rows)


def promise_of(connection: sa.Connection, upload_id: str) -> Promise | None:
    """What was promised for an upload that nobody confirmed yet."""
    row = connection.execute(sa.select(presigned).where(presigned.c.upload_id == upload_id)).one_or_none()
    if row is None:
        return None
    expires_at = row.expires_at
    if expires_at.tzinfo is None:  # SQLite keeps none
        expires_at = expires_at.replace(tzinfo=UTC)
    return Promise(row.upload_id, row.key, row.meta, expires_at)


def forget_promises(connection: sa.Connection, upload_ids: Collection[str]) -> None:
    """The uploads are received."""
    connection.execute(sa.delete(presigned).where(presigned.c.upload_id.in_(upload_ids)))


def forget_expired(connection: sa.Connection, before: datetime) -> int:
    """Forget promises that expired ``before``; returns how many."""
    return connection.execute(sa.delete(presigned).where(presigned.c.expires_at < before)).rowcount


def promised_keys(connection: sa.Connection, keys: Collection[str]) -> frozenset[str]:
    """Those of ``keys`` that wait for their confirmation."""
    return frozenset(connection.scalars(sa.select(presigned.c.key).where(presigned.c.key.in_(keys))))
