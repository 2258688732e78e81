"""Applying changes to the tables, one statement per part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from services.reporter.domain.changes import Change, Part, fold
from services.reporter.store.tables import metadata
from services.runtime.database import upsert


def write(connection: sa.Connection, changes: Iterable[Change]) -> None:
    """Upsert every change that outranks what the row holds. Any order, any number of times."""
    for part, changed in sorted(fold(changes).items(), key=lambda item: (item[0].table, item[0].name)):
        # Sorted keys: two replicas lock rows in one order, so they wait instead of deadlocking.
        rows = [changed[key].row() for key in sorted(changed)]
        table = metadata.tables[part.table]
        upsert(connection, table, rows, where=_outranks(table, part))


def _outranks(table: sa.Table, part: Part) -> Callable[[Any], sa.ColumnElement[bool]]:
    def condition(excluded: Any) -> sa.ColumnElement[bool]:
        first = part.rank[0]
        higher = [table.c[first].is_(None), excluded[first] > table.c[first]]
        if len(part.rank) == 2:
            second = part.rank[1]
            higher.append(sa.and_(excluded[first] == table.c[first], excluded[second] > table.c[second]))
        return sa.or_(*higher)

    return condition
