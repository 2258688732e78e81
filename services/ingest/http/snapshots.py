"""What was packed: ``GET /api/v1/snapshots`` and ``/api/v1/snapshots/{snapshot_id}``."""

from __future__ import annotations

from typing import Annotated, Any

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
        return {"snapshots": [_shown(packed) for packed in found]}

    @routes.get("/{snapshot_id}")
    async def one(snapshot_id: SnapshotId) -> dict[str, Any]:
        packed = await database.read(
            lambda connection: snapshots.packed_snapshot(connection, snapshot_id, request_id="")
        )
        if packed is None:
            raise ActionRefused(404, f"no snapshot {snapshot_id!r}; GET /api/v1/snapshots lists them")
        return _shown(packed)

    return routes


def _shown(packed: SnapshotPacked) -> dict[str, Any]:
    return packed.model_dump(mode="json", exclude={"request_id"})
