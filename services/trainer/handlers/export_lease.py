"""One trainer at a time exports a model, and its child ends before another's may begin.

The files of an export have fixed places, where TensorFlow Serving looks for them: two that wrote there
at once would leave a mixture of both.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from contracts.values import ModelVersion
from services.runtime.database import Database
from services.runtime.delivery import Postponed
from services.runtime.leases import LeaseLost
from services.trainer import store
from services.trainer.handlers.leased import HOLD_SHARE, RENEWALS_PER_LEASE, Orders


@dataclass(frozen=True)
class Held:
    """A lease in force: who has it, and what tells the child that it may go on."""

    owner: str
    orders: Orders


@asynccontextmanager
async def exporting(
    database: Database, version: ModelVersion, lease_s: float, log: Any
) -> AsyncIterator[Held]:
    """The lease of a model's export, renewed while this is open.

    Raises:
        Postponed: another trainer has it.
    """
    held, now = Held(uuid.uuid4().hex, asyncio.Queue()), time.monotonic()
    if not await database.run(lambda unit: store.export_lease.take(unit, version, held.owner, lease_s)):
        raise Postponed(f"another trainer exports model {version}", lease_s / 2)
    _go_on(held, lease_s, now)
    keeping = asyncio.create_task(_keep(database, version, held, lease_s, log), name=f"export {version}")
    try:
        yield held
    finally:  # also when the service stops: another trainer need not wait for the lease to end
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.shield(database.run(lambda unit: store.export_lease.release(unit, version, held.owner)))


async def _keep(database: Database, version: ModelVersion, held: Held, lease_s: float, log: Any) -> None:
    """Renew until that fails for good: the child, to which nobody says any more to go on, then ends."""
    while True:
        await asyncio.sleep(lease_s / RENEWALS_PER_LEASE)
        now = time.monotonic()
        try:
            await database.run(lambda unit: store.export_lease.renew(unit, version, held.owner, lease_s))
        except LeaseLost as lost:
            log.warning("export.lost", model_version=version, error=str(lost))
            return
        except SQLAlchemyError as error:  # the database is away; the lease says for how long that is no harm
            log.warning("export.waiting", model_version=version, error=repr(error))
        else:
            _go_on(held, lease_s, now)


def _go_on(held: Held, lease_s: float, since: float) -> None:
    held.orders.put_nowait({"hold_s": lease_s * HOLD_SHARE, "at": since})
