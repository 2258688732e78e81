"""Who works on a run or on a model's export: one trainer at a time."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.runtime.database import Unit
from services.runtime.leases import Lease
from services.trainer.store.tables import model_table, run_table

RUNNING = "running"

run_lease = Lease(
    "run {}", run_table.c.run_id, run_table.c.owner, run_table.c.lease_until, run_table.c.state == RUNNING
)
export_lease = Lease(
    "the export of model {}",
    model_table.c.model_version, model_table.c.exporter, model_table.c.exporter_until,
)  # fmt: skip


def let_go_when_held(engine: sa.Engine, after_s: float) -> None:
    """End transactions that stand still for so long.

    A process that is held (SIGSTOP) in the middle of one keeps its locks, and whoever wants to take over
    its run would wait for it. SQLite has no such setting, and no second machine.
    """
    if engine.dialect.name != "postgresql":
        return

    def limit(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {round(after_s * 1000)}")
        connection.commit()

    sa.event.listen(engine, "connect", limit)


def note_checkpoint(unit: Unit, run_id: str, owner: str, number: int) -> None:
    """The run would go on from its checkpoint ``number``; one of an owner that lost it is not noted."""
    unit.connection.execute(run_lease.mine(run_id, owner).values(checkpoints=number))


def count_death(unit: Unit, run_id: str, owner: str) -> int:
    """Note that a child of the run died by itself; returns how many did without coming any further.

    A death after a new checkpoint counts nothing, and those before it are forgotten: a run that comes on
    comes to its end, however often it is killed.

    Raises:
        LeaseLost: another has the run.
    """
    came_on = run_table.c.checkpoints > run_table.c.checkpoints_at_death
    deaths = sa.case((came_on, 0), else_=run_table.c.deaths + 1)
    query = run_lease.mine(run_id, owner).values(deaths=deaths, checkpoints_at_death=run_table.c.checkpoints)
    counted: int | None = unit.connection.execute(query.returning(run_table.c.deaths)).scalar_one_or_none()
    if counted is None:
        raise run_lease.lost(run_id, owner)
    return counted
