"""Which requests were handled, and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.ingest.store.tables import handled_request


def outcome_of(connection: sa.Connection, request_id: str) -> tuple[str, dict[str, Any]] | None:
    """Name and outcome of a handled request."""
    query = sa.select(handled_request.c.name, handled_request.c.outcome).where(
        handled_request.c.request_id == request_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.name, row.outcome)


def keep_outcome(
    connection: sa.Connection, request_id: str, name: str, outcome: dict[str, Any], at: datetime
) -> None:
    """Note the request as handled.

    Raises:
        sqlalchemy.exc.IntegrityError: another replica handled it meanwhile; its outcome stands.
    """
    row = {"request_id": request_id, "name": name, "outcome": outcome, "handled_at": at}
    connection.execute(sa.insert(handled_request).values(row))
