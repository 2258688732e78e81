"""What a data set is made of: the request of a run, and the newest snapshot."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.commands import RequestTraining
from contracts.events import SnapshotPacked
from services.trainer.store.tables import run_table, snapshot_table


def find_request(connection: sa.Connection, run_id: str) -> RequestTraining | None:
    """What a run was asked for."""
    query = sa.select(run_table.c.request).where(run_table.c.run_id == run_id)
    request = connection.execute(query).scalar_one_or_none()
    return None if request is None else RequestTraining.model_validate(request)


def newest_snapshot(connection: sa.Connection) -> SnapshotPacked | None:
    """Of those heard of, the one that was packed last."""
    packed = connection.execute(sa.select(snapshot_table.c.packed)).scalars()
    events = (SnapshotPacked.model_validate(event) for event in packed)
    return max(events, key=lambda event: (event.packed_at, event.snapshot_id), default=None)
