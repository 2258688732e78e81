"""What was packed: ``GET /api/v1/snapshots`` and ``/api/v1/snapshots/{snapshot_id}``."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query

from contracts.events import SnapshotPacked
from services.ingest.domain.faults import ActionRefused
from services.ingest.store import snapshots
from services.runtime.database import Database

Limit = Annotated[int, Query(ge=1, le=1000)]
SnapshotId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


def router(database: Database) -> APIRouter:
    """Complete snapshots; one that is being packed tells of itself by events."""
    routes = APIRouter(prefix="/api/v1/snapshots")

    @routes.get("")
    async def newest(limit: Limit = 100) -> dict[str, Any]:
        """The newest come first."""
        found = await database.read(lambda connection: snapshots.newest_snapshots(connection, limit))
        return {"snapshots": [_shown(one) for one in found]}

    @routes.get("/{snapshot_id}")
    async def one(snapshot_id: SnapshotId) -> dict[str, Any]:
        return _shown(await database.read(lambda connection: packed(connection, snapshot_id)))

    return routes


def packed(connection: sa.Connection, snapshot_id: str) -> SnapshotPacked:
    """The snapshot of that id.

    Raises:
        ActionRefused: there is none.
    """
    found = snapshots.packed_snapshot(connection, snapshot_id, request_id="")
    if found is None:
        raise ActionRefused(404, f"no snapshot {snapshot_id[:80]!r}; GET /api/v1/snapshots lists them")
    return found


def _shown(one: SnapshotPacked) -> dict[str, Any]:
    return one.model_dump(mode="json", exclude={"request_id"})
