"""Work that one evaluator does at a time: others are asked again later."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

from services.evaluator import store
from services.runtime.database import Database
from services.runtime.delivery import Postponed
from services.runtime.leases import LeaseLost

T = TypeVar("T")
RENEWALS_PER_LEASE = 4


class Leases:
    """Leases of this evaluator."""

    def __init__(self, database: Database, lease_s: float, log: Any) -> None:
        self._database = database
        self._lease_s = lease_s
        self._log = log

    async def run(self, work: str, job: Coroutine[Any, Any, T]) -> T:
        """What ``job`` returns; it is ended when the lease of ``work`` is lost.

        Raises:
            Postponed: another evaluator has the work in hand.
        """
        owner = uuid.uuid4().hex
        if not await self._database.run(lambda unit: store.take(unit, work, owner, self._lease_s)):
            job.close()
            raise Postponed(f"another evaluator is at {work}", self._lease_s / 2)
        doing = asyncio.create_task(job, name=f"doing {work}")
        renewing = asyncio.create_task(self._renew(work, owner), name=f"lease {work}")
        try:
            await asyncio.wait({doing, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                renewing.result()  # it only ever ends by raising
            return doing.result()
        except LeaseLost as lost:
            self._log.warning("lease.lost", work=work, error=str(lost))
            raise Postponed(str(lost), self._lease_s / 2) from lost
        finally:  # also when the service stops: another evaluator need not wait for the lease to end
            for task in (doing, renewing):
                task.cancel()
            await asyncio.gather(doing, renewing, return_exceptions=True)
            await asyncio.shield(self._database.run(lambda unit: store.release(unit, work, owner)))

    async def _renew(self, work: str, owner: str) -> None:
        held_until = time.monotonic() + self._lease_s
        while True:
            await asyncio.sleep(self._lease_s / RENEWALS_PER_LEASE)
            now = time.monotonic()
            try:
                await self._database.run(lambda unit: store.renew(unit, work, owner, self._lease_s))
                held_until = now + self._lease_s
            except LeaseLost:
                raise
            except Exception as error:  # the database is away; the lease says for how long that is no harm
                self._log.warning("lease.waiting", work=work, error=repr(error))
                if now > held_until:
                    raise LeaseLost(f"{work}: the database is away: {error}") from error
