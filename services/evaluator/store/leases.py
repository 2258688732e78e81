"""Who is at a piece of work: one evaluator at a time, by the database's clock.

An owner that stops renewing (killed, held, cut off) loses the work to the next that asks for it. What it then
still tells is told once all the same; the lease only saves the same work from being done twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from services.evaluator.store.tables import lease_table
from services.runtime.database import Unit, serialise
from services.runtime.leases import LeaseLost, database_now


def take(unit: Unit, work: str, owner: str, lease_s: float) -> bool:
    """Become the owner, unless another's lease has time left."""
    serialise(unit.connection, "evaluator leases")
    now = database_now(unit.connection)
    query = sa.select(lease_table.c.lease_until).where(lease_table.c.work == work)
    until: datetime | None = unit.connection.execute(query).scalar_one_or_none()
    if until is not None and until.replace(tzinfo=until.tzinfo or UTC) > now:
        return False
    unit.connection.execute(sa.delete(lease_table).where(lease_table.c.work == work))
    row = {"work": work, "owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
    unit.connection.execute(sa.insert(lease_table).values(row))
    return True


def renew(unit: Unit, work: str, owner: str, lease_s: float) -> None:
    """Stay the owner for so long from now.

    Raises:
        LeaseLost: another is by now.
    """
    until = database_now(unit.connection) + timedelta(seconds=lease_s)
    query = sa.update(lease_table).where(lease_table.c.work == work, lease_table.c.owner == owner)
    if unit.connection.execute(query.values(lease_until=until)).rowcount == 0:
        raise LeaseLost(f"{work} is no longer {owner}'s")


def release(unit: Unit, work: str, owner: str) -> None:
    """Let another have the work at once."""
    mine = sa.and_(lease_table.c.work == work, lease_table.c.owner == owner)
    unit.connection.execute(sa.delete(lease_table).where(mine))
