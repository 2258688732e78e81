"""What a data set is made of: the request of a run, the newest snapshot, the model a run would start from."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.commands import RequestTraining
from contracts.events import SnapshotPacked
from contracts.values import ModelVersion
from services.trainer.store.tables import model_table, run_table, snapshot_table


def request_of(connection: sa.Connection, run_id: str) -> RequestTraining | None:
    """What a run was asked for."""
    query = sa.select(run_table.c.request).where(run_table.c.run_id == run_id)
    request = connection.execute(query).scalar_one_or_none()
    return None if request is None else RequestTraining.model_validate(request)


def newest_snapshot(connection: sa.Connection) -> SnapshotPacked | None:
    """Of those heard of, the one that was packed last."""
    packed = connection.execute(sa.select(snapshot_table.c.packed)).scalars()
    events = (SnapshotPacked.model_validate(event) for event in packed)
    return max(events, key=lambda event: (event.packed_at, event.snapshot_id), default=None)


def newest_model(connection: sa.Connection) -> ModelVersion | None:
    """Of those that are meant to be deployed: what ``base: newest`` starts from."""
    query = sa.select(model_table.c.model_version).where(sa.not_(model_table.c.throw_away))
    return connection.execute(query.order_by(model_table.c.number.desc()).limit(1)).scalar_one_or_none()
