"""Comparing and emptying the tables that a rebuild replaces."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import sqlalchemy as sa

from services.reporter.store.tables import PROJECTED

FETCH_ROWS = 1000


@dataclass(frozen=True)
class Digest:
    """Content of one table: row count, SHA-256 over all rows in key order."""

    rows: int
    sha256: str


def digests(connection: sa.Connection) -> dict[str, Digest]:
    """Table name -> digest of its content."""
    return {table.name: _digest(connection, table) for table in PROJECTED}


def lock(connection: sa.Connection) -> None:
    """Keep other writers out until the transaction ends; readers go on.

    A SQLite write transaction does that by itself.
    """
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in PROJECTED)
        connection.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))


def clear(connection: sa.Connection) -> None:
    """Delete every projected row."""
    for table in PROJECTED:
        connection.execute(sa.delete(table))


def _digest(connection: sa.Connection, table: sa.Table) -> Digest:
    content, rows = hashlib.sha256(), 0
    query = sa.select(table).order_by(*table.primary_key)
    for row in connection.execute(query.execution_options(yield_per=FETCH_ROWS)):
        content.update(json.dumps(list(row), default=str, sort_keys=True).encode())
        rows += 1
    return Digest(rows, content.hexdigest())
