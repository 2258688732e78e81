"""How uploads stand, the presigned ones that nobody confirmed yet among them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from services.ingest.store.descriptions import iso
from services.ingest.store.tables import presigned, upload


class UploadState(StrEnum):
    """``awaiting`` its bytes or their confirmation, ``received`` and not decoded yet, or its outcome."""

    AWAITING = "awaiting"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REPEATED = "repeated"
    REJECTED = "rejected"


@dataclass(frozen=True)
class UploadFilter:
    """Which uploads; None asks for all."""

    upload_ids: Collection[str] | None = None
    upstream_id: str | None = None
    state: UploadState | None = None


def upload_states(
    connection: sa.Connection, wanted: UploadFilter, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The first ``limit`` uploads beyond ``after``, by upload id, and the last id when there are more."""
    known = sa.union_all(_noted(), _awaiting()).subquery()
    query = sa.select(known)
    if wanted.upload_ids is not None:
        query = query.where(known.c.upload_id.in_(wanted.upload_ids))
    if wanted.upstream_id is not None:
        query = query.where(known.c.upstream_id == wanted.upstream_id)
    if wanted.state is not None:
        query = query.where(known.c.state == wanted.state)
    if after is not None:
        query = query.where(known.c.upload_id > after)
    found = connection.execute(query.order_by(known.c.upload_id).limit(limit + 1)).mappings().all()
    rows = [
        {name: iso(value) if name.endswith("_at") else value for name, value in row.items()}
        for row in found[:limit]
    ]
    return rows, rows[-1]["upload_id"] if len(found) > limit else None


def _noted() -> sa.Select[Any]:
    columns = upload.c
    return sa.select(
        columns.upload_id,
        sa.func.coalesce(columns.outcome, UploadState.RECEIVED.value).label("state"),
        columns.image_id,
        columns.same_as,
        columns.reject_code.label("code"),
        columns.detail,
        columns.file_name,
        columns.upstream_id,
        columns.uploaded_by,
        columns.uploaded_at,
        columns.settled_at,
    )


def _awaiting() -> sa.Select[Any]:
    meta = presigned.c.meta
    nothing = sa.cast(sa.null(), sa.Text)
    never = sa.cast(sa.null(), upload.c.uploaded_at.type)
    return sa.select(
        presigned.c.upload_id,
        sa.literal(UploadState.AWAITING.value),
        nothing,
        nothing,
        nothing,
        nothing,
        sa.func.coalesce(meta["file_name"].as_string(), ""),
        meta["upstream_id"].as_string(),
        meta["uploaded_by"].as_string(),
        never,
        never,
    ).where(~sa.exists().where(upload.c.upload_id == presigned.c.upload_id))
