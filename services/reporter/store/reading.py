"""Reading rows as plain values, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.reporter.domain.cursor import BadCursor, decode_cursor, encode_cursor

Row = dict[str, Any]

PAGE_ROWS = 100
PAGE_ROWS_MOST = 1000
"""About 1 MB of JSON."""


def rows(connection: sa.Connection, query: sa.Select[Any]) -> list[Row]:
    """Column name -> value; dates carry UTC, which SQLite forgets."""
    found = connection.execute(query).mappings()
    return [{name: _aware(value) for name, value in row.items()} for row in found]


def first(connection: sa.Connection, query: sa.Select[Any]) -> Row | None:
    """The first row, or None."""
    found = rows(connection, query.limit(1))
    return found[0] if found else None


def page(
    connection: sa.Connection,
    query: sa.Select[Any],
    *order: sa.ColumnElement[Any],
    limit: int,
    after: str | None,
    descending: bool = False,
) -> tuple[list[Row], str | None]:
    """Up to ``limit`` rows behind the cursor ``after``, and the cursor of the next page.

    ``order`` must name one row. The column names of the result must hold them.

    Raises:
        BadCursor: ``after`` does not belong to this list.
    """
    if after:
        values = [
            _sort_value(column, text)
            for column, text in zip(order, decode_cursor(after, len(order)), strict=True)
        ]
        query = query.where(_behind(order, values, descending))
    query = query.order_by(*((column.desc() if descending else column) for column in order))
    found = rows(connection, query.limit(limit + 1))
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], encode_cursor(*(_sort_text(last[str(column.key)]) for column in order))


def _behind(order: tuple[Any, ...], values: list[Any], descending: bool) -> sa.ColumnElement[bool]:
    choices = []
    for index, (column, value) in enumerate(zip(order, values, strict=True)):
        beyond = column < value if descending else column > value
        same = [column == value for column, value in zip(order[:index], values, strict=False)]
        choices.append(sa.and_(*same, beyond))
    return sa.or_(*choices)


def _sort_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sort_value(column: sa.ColumnElement[Any], text: str) -> Any:
    readers: dict[type, Callable[[str], Any]] = {sa.DateTime: datetime.fromisoformat, sa.BigInteger: int}
    reader = readers.get(type(column.type), str)
    try:
        return reader(text)
    except ValueError as error:
        raise BadCursor(f"after= holds {text[:40]!r}; take `next` of the page before, unchanged") from error


def _aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value
