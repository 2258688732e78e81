"""Who works on a run: one trainer at a time, by the database's clock.

An owner that stops renewing (killed, held, cut off) loses the run to the next that asks for it, and
whatever it does to the run afterwards is refused, because it names itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.runtime.database import Unit
from services.trainer.store.tables import run_table

RUNNING = "running"


class LeaseLost(Exception):
    """Another trainer has the run, or it has ended; nothing may be told of it from here."""


def database_now(connection: sa.Connection) -> datetime:
    """The one clock that all trainers share; SQLite is a file of this machine."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)
    return datetime.now(UTC)


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


def take(unit: Unit, run_id: str, owner: str, lease_s: float) -> bool:
    """Become the owner of a running run, unless another's lease has time left."""
    now = database_now(unit.connection)
    free = sa.or_(run_table.c.owner.is_(None), run_table.c.lease_until <= now)
    query = sa.update(run_table).where(run_table.c.run_id == run_id, run_table.c.state == RUNNING, free)
    until = now + timedelta(seconds=lease_s)
    return unit.connection.execute(query.values(owner=owner, lease_until=until)).rowcount == 1


def renew(unit: Unit, run_id: str, owner: str, lease_s: float) -> None:
    """Stay the owner for so long from now.

    Raises:
        LeaseLost: another is by now, or the run has ended.
    """
    until = database_now(unit.connection) + timedelta(seconds=lease_s)
    if unit.connection.execute(_mine(run_id, owner).values(lease_until=until)).rowcount == 0:
        raise LeaseLost(f"run {run_id} is no longer {owner}'s")


def release(unit: Unit, run_id: str, owner: str) -> None:
    """Let another have the run at once."""
    unit.connection.execute(_mine(run_id, owner).values(owner=None, lease_until=None))


def is_held(connection: sa.Connection, run_id: str) -> bool:
    """Whether a trainer works on the run now."""
    query = sa.select(run_table.c.lease_until).where(
        run_table.c.run_id == run_id, run_table.c.state == RUNNING, run_table.c.owner.is_not(None)
    )
    until: datetime | None = connection.execute(query).scalar_one_or_none()
    return until is not None and until.replace(tzinfo=until.tzinfo or UTC) > database_now(connection)


def note_checkpoint(unit: Unit, run_id: str, owner: str, number: int) -> None:
    """The run would go on from its checkpoint ``number``; one of an owner that lost it is not noted."""
    unit.connection.execute(_mine(run_id, owner).values(checkpoints=number))


def count_death(unit: Unit, run_id: str, owner: str) -> int:
    """Note that a child of the run died by itself; returns how many did without coming any further.

    A death after a new checkpoint counts nothing, and those before it are forgotten: a run that comes on
    comes to its end, however often it is killed.

    Raises:
        LeaseLost: another has the run.
    """
    came_on = run_table.c.checkpoints > run_table.c.checkpoints_at_death
    deaths = sa.case((came_on, 0), else_=run_table.c.deaths + 1)
    query = _mine(run_id, owner).values(deaths=deaths, checkpoints_at_death=run_table.c.checkpoints)
    counted: int | None = unit.connection.execute(query.returning(run_table.c.deaths)).scalar_one_or_none()
    if counted is None:
        raise LeaseLost(f"run {run_id} is no longer {owner}'s")
    return counted


def _mine(run_id: str, owner: str) -> sa.Update:
    return sa.update(run_table).where(
        run_table.c.run_id == run_id, run_table.c.owner == owner, run_table.c.state == RUNNING
    )
