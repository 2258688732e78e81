"""A training child under its run's lease: told to go on while the lease is renewed, and when to stop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from services.runtime.database import Database
from services.runtime.leases import LeaseLost
from services.trainer import store
from services.trainer.domain.specs import Outcome, TrainSpec
from services.trainer.handlers.children import Children, Report
from services.trainer.settings import TrainerSettings

FITTING = "services.trainer.job"
RENEWALS_PER_LEASE = 4
HOLD_SHARE = 0.8
"""Of the lease, how long a child goes on without a word: it has ended before another's begins."""

Orders = asyncio.Queue[dict[str, Any]]


class StopOverdue(Exception):
    """The child was told to stop, and had not ended in time; it has been killed."""

    def __init__(self, stop: store.Stop, after_s: float) -> None:
        super().__init__(f"run {stop.run_id} was to stop ({stop.kind.value}) and did not in {after_s:g} s")
        self.stop = stop


class LeasedChild:
    """Runs children of runs that this trainer owns."""

    def __init__(self, database: Database, children: Children, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._children = children
        self._settings = settings
        self._log = log

    async def run(self, spec: TrainSpec, owner: str, report: Report) -> Outcome:
        """The outcome of one child.

        Raises:
            LeaseLost: another trainer has the run by now; the child has been ended.
            StopOverdue: the run was stopped, and the child had to be killed.
            NotYet, ChildFailed, ChildDied: see Children.run.
        """
        orders: Orders = asyncio.Queue()
        renewed_at = await self._renew(spec.run_id, owner, orders)  # no child begins without a lease
        child = asyncio.create_task(
            self._children.run(FITTING, spec, report, orders=orders, keep=True), name=f"child {spec.run_id}"
        )
        watch = asyncio.create_task(
            self._watch(spec.run_id, owner, orders, renewed_at), name=f"lease {spec.run_id}"
        )
        try:
            await asyncio.wait({child, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not child.done():
                watch.result()  # it only ever ends by raising
            return child.result()
        finally:
            for task in (watch, child):
                task.cancel()
            await asyncio.gather(watch, child, return_exceptions=True)

    async def _renew(self, run_id: str, owner: str, orders: Orders) -> float:
        """Renew the lease, and tell the child how long it holds; returns the moment before."""
        lease_s, at = self._settings.lease_s, time.monotonic()
        await self._database.run(lambda unit: store.run_lease.renew(unit, run_id, owner, lease_s))
        orders.put_nowait({"hold_s": lease_s * HOLD_SHARE, "at": at})
        return at

    async def _watch(self, run_id: str, owner: str, orders: Orders, renewed_at: float) -> None:
        lease_s, stopped_at = self._settings.lease_s, 0.0
        stop: store.Stop | None = None
        while True:
            now = time.monotonic()
            try:
                if now >= renewed_at + lease_s / RENEWALS_PER_LEASE:
                    renewed_at = await self._renew(run_id, owner, orders)
                if stop is None:
                    stop = await self._database.read(lambda c: store.find_stop(c, run_id))
                    if stop is not None:
                        orders.put_nowait({"stop": stop.kind.value})
                        stopped_at = now
            except LeaseLost:
                raise
            except Exception as error:  # the database is away; the lease says for how long that is no harm
                self._log.warning("lease.waiting", run_id=run_id, error=repr(error))
                if time.monotonic() > renewed_at + lease_s:
                    raise LeaseLost(f"run {run_id}: the database is away: {error}") from error
            if stop is not None and now - stopped_at > self._settings.stop_grace_s:
                raise StopOverdue(stop, self._settings.stop_grace_s)
            await asyncio.sleep(self._settings.stop_check_s)
