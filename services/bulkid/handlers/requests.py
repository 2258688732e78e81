"""Requests that bulkid makes of itself: a long run must not keep the events behind it from being heard."""

from __future__ import annotations

from datetime import datetime

from contracts.commands import RequestVectors
from contracts.events import ModelExported, SnapshotPacked
from services.bulkid.domain.vectors import automatic_request_id, next_request_id

BY = "bulkid"


def vectors_of_snapshot(packed: SnapshotPacked) -> RequestVectors:
    """For what a new snapshot brings, with the newest encoder."""
    return RequestVectors(
        request_id=automatic_request_id(f"snapshot {packed.snapshot_id}"),
        snapshot_id=packed.snapshot_id,
        by=BY,
        requested_at=packed.packed_at,
    )


def vectors_of_model(exported: ModelExported) -> RequestVectors:
    """For the newest snapshot, with a new model."""
    return RequestVectors(
        request_id=automatic_request_id(f"model {exported.model_version} {exported.model.sha256}"),
        model_version=exported.model_version,
        by=BY,
        requested_at=exported.exported_at,
    )


def vectors_left_over(
    request: RequestVectors, run_id: str, snapshot_id: str, now: datetime
) -> RequestVectors:
    """For what one run of ``request`` left over, of the same snapshot."""
    return request.model_copy(
        update={"request_id": next_request_id(run_id), "snapshot_id": snapshot_id, "requested_at": now}
    )
