"""Who writes the files of a model's export: one trainer at a time, by the database's clock."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from contracts.values import ModelVersion
from services.runtime.database import Unit
from services.trainer.store.leases import LeaseLost, database_now
from services.trainer.store.tables import model_table


def take_export(unit: Unit, version: ModelVersion, owner: str, lease_s: float) -> bool:
    """Become the one that exports a model, unless another's lease has time left."""
    now = database_now(unit.connection)
    free = sa.or_(model_table.c.exporter.is_(None), model_table.c.exporter_until <= now)
    query = sa.update(model_table).where(model_table.c.model_version == version, free)
    until = now + timedelta(seconds=lease_s)
    return unit.connection.execute(query.values(exporter=owner, exporter_until=until)).rowcount == 1


def renew_export(unit: Unit, version: ModelVersion, owner: str, lease_s: float) -> None:
    """Stay the one for so long from now.

    Raises:
        LeaseLost: another trainer exports the model by now.
    """
    until = database_now(unit.connection) + timedelta(seconds=lease_s)
    if unit.connection.execute(_mine(version, owner).values(exporter_until=until)).rowcount == 0:
        raise LeaseLost(f"the export of model {version} is no longer {owner}'s")


def release_export(unit: Unit, version: ModelVersion, owner: str) -> None:
    """Let another export the model at once."""
    unit.connection.execute(_mine(version, owner).values(exporter=None, exporter_until=None))


def _mine(version: ModelVersion, owner: str) -> sa.Update:
    return sa.update(model_table).where(
        model_table.c.model_version == version, model_table.c.exporter == owner
    )
