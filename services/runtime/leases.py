"""Who is at a piece of work: one process at a time, by the database's clock.

An owner that stops renewing (killed, held, cut off) loses the work to the next that asks for it, and
whatever it does to the work afterwards is refused, because it names itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.runtime.database import Unit


class LeaseLost(Exception):
    """Another has the work by now, or it has ended; nothing may be told of it from here."""


def database_now(connection: sa.Connection) -> datetime:
    """The one clock that all processes share; SQLite is a file of this machine."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)
    return datetime.now(UTC)


class Lease:
    """Of rows of a table, by three of its columns.

    ``work`` names them in messages ("run {}"), ``key`` tells one from another, and only those that fulfil
    ``conditions`` can be had.
    """

    def __init__(
        self,
        work: str,
        key: sa.Column[Any],
        owner: sa.Column[Any],
        until: sa.Column[Any],
        *conditions: sa.ColumnElement[bool],
    ) -> None:
        self._work, self._key, self._owner, self._until = work, key, owner, until
        self._conditions = conditions

    def take(self, unit: Unit, key: str, owner: str, lease_s: float) -> bool:
        """Become the owner, unless another's lease has time left."""
        now = database_now(unit.connection)
        free = sa.or_(self._owner.is_(None), self._until <= now)
        query = self._rows(key).where(free).values(self._values(owner, now + timedelta(seconds=lease_s)))
        return unit.connection.execute(query).rowcount == 1

    def renew(self, unit: Unit, key: str, owner: str, lease_s: float) -> None:
        """Stay the owner for so long from now.

        Raises:
            LeaseLost: another is by now, or the work has ended.
        """
        until = database_now(unit.connection) + timedelta(seconds=lease_s)
        query = self.mine(key, owner).values(self._values(owner, until))
        if unit.connection.execute(query).rowcount == 0:
            raise self.lost(key, owner)

    def release(self, unit: Unit, key: str, owner: str) -> None:
        """Let another have the work at once."""
        unit.connection.execute(self.mine(key, owner).values(self._values(None, None)))

    def is_held(self, connection: sa.Connection, key: str) -> bool:
        """Whether somebody is at the work now."""
        mine = sa.and_(self._key == key, self._owner.is_not(None), *self._conditions)
        until: datetime | None = connection.execute(sa.select(self._until).where(mine)).scalar_one_or_none()
        return until is not None and until.replace(tzinfo=until.tzinfo or UTC) > database_now(connection)

    def mine(self, key: str, owner: str) -> sa.Update:
        """To change the work's row as its owner; changes none when another is."""
        return self._rows(key).where(self._owner == owner)

    def lost(self, key: str, owner: str) -> LeaseLost:
        """What to raise when ``mine`` changed none."""
        return LeaseLost(f"{self._work.format(key)} is no longer {owner}'s")

    def _rows(self, key: str) -> sa.Update:
        return sa.update(self._key.table).where(self._key == key, *self._conditions)

    def _values(self, owner: str | None, until: datetime | None) -> dict[str, Any]:
        return {self._owner.name: owner, self._until.name: until}
