"""Runs of similarity vectors, and which images have a vector of which encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from contracts.commands import RequestVectors
from contracts.events import VectorsComputed
from contracts.values import ImageId
from services.bulkid.store.tables import vector_run_table, vector_table
from services.runtime.database import Unit, upsert


class OthersWereFaster(Exception):
    """Another run has told vectors of some of these images since they were chosen; choose anew."""


@dataclass(frozen=True)
class VectorRun:
    """What one request computes: encoder and snapshot are fixed when it is opened."""

    run_id: str
    request_id: str
    encoder: str
    model_version: str | None
    snapshot_id: str
    dimensions: int | None
    completed_at: datetime | None


def find_vector_run(connection: sa.Connection, run_id: str) -> VectorRun | None:
    """The run of that id, or None."""
    query = sa.select(vector_run_table).where(vector_run_table.c.run_id == run_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else VectorRun(**row._mapping)


def open_vector_run(unit: Unit, run: VectorRun) -> VectorRun:
    """Fix the run's encoder and snapshot; the one opened first stays and is returned."""
    upsert(unit.connection, vector_run_table, [vars(run)], update=[])
    opened = find_vector_run(unit.connection, run.run_id)
    assert opened is not None
    return opened


def images_with_vector(connection: sa.Connection, encoder: str) -> Sequence[ImageId]:
    """Images that were told with a vector of that encoder, or in which it saw nothing."""
    query = sa.select(vector_table.c.image_id).where(vector_table.c.encoder == encoder)
    return connection.execute(query).scalars().all()


def known_dimensions(connection: sa.Connection, encoder: str) -> int | None:
    """Dimensions of that encoder, or None before its first run is completed."""
    found = sa.select(sa.func.max(vector_run_table.c.dimensions)).where(vector_run_table.c.encoder == encoder)
    dimensions: int | None = connection.execute(found).scalar_one()
    return dimensions


def complete_vector_run(
    unit: Unit, computed: VectorsComputed, image_ids: Sequence[ImageId], left_over: RequestVectors | None
) -> bool:
    """Tell the run's vectors, once, and request what it left over; False when it was told before.

    Raises:
        OthersWereFaster: one of ``image_ids`` has a vector of this encoder by now.
    """
    closing = (
        sa.update(vector_run_table)
        .where(vector_run_table.c.run_id == computed.run_id, vector_run_table.c.completed_at.is_(None))
        .values(dimensions=computed.dimensions, completed_at=computed.computed_at)
    )
    if unit.connection.execute(closing).rowcount == 0:
        return False
    rows = [
        {"encoder": computed.encoder, "image_id": image_id, "run_id": computed.run_id}
        for image_id in sorted(image_ids)  # two replicas lock rows in one order
    ]
    upsert(unit.connection, vector_table, rows, update=[])
    mine = sa.select(sa.func.count()).where(
        vector_table.c.encoder == computed.encoder, vector_table.c.run_id == computed.run_id
    )
    if unit.connection.execute(mine).scalar_one() != len(rows):
        raise OthersWereFaster(computed.run_id)
    unit.emit(computed)
    if left_over is not None:
        unit.emit(left_over)
    return True
