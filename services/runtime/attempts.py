"""The ledger of attempts: how often a message was really tried, across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from services.runtime.tables import attempt_table

if TYPE_CHECKING:
    from services.runtime.database import Database, Unit


class AttemptLedger:
    """Counts attempts per (durable, stream sequence) in the service's own database.

    A message on its way to success at the first try never touches it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = attempt_table(database.metadata)

    async def begin(self, durable: str, seq: int) -> int:
        """Note that one more attempt starts; returns its number, from 1."""

        def work(unit: Unit) -> int:
            table = self._table
            known = unit.connection.scalar(
                sa.select(table.c.attempts).where(table.c.durable == durable, table.c.seq == seq)
            )
            if known is None:
                unit.connection.execute(sa.insert(table).values(durable=durable, seq=seq, attempts=1))
                return 1
            unit.connection.execute(
                sa.update(table)
                .where(table.c.durable == durable, table.c.seq == seq)
                .values(attempts=known + 1)
            )
            return int(known) + 1

        return await self._database.run(work)

    async def take_back(self, durable: str, seq: int) -> None:
        """The attempt that was begun last was none."""
        table = self._table
        await self._database.run(
            lambda unit: unit.connection.execute(
                sa.update(table)
                .where(table.c.durable == durable, table.c.seq == seq, table.c.attempts > 0)
                .values(attempts=table.c.attempts - 1)
            )
        )

    async def forget(self, durable: str, seq: int) -> None:
        """The message is settled."""
        table = self._table
        await self._database.run(
            lambda unit: unit.connection.execute(
                sa.delete(table).where(table.c.durable == durable, table.c.seq == seq)
            )
        )
