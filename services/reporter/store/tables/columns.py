"""How the tables are built: dbt style, ``dim_`` and ``fct_``, ``<object>_id``, ``<event>_at``, ``is_``.

Every column outside the key may be NULL: a row is made of parts that arrive in any order.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()


def table(name: str, key: dict[str, Any], columns: dict[str, Any], *indexes: tuple[str, ...]) -> sa.Table:
    """A table with ``key`` as primary key, nullable ``columns`` and an index per column tuple."""
    keys = [sa.Column(column, kind, primary_key=True, autoincrement=False) for column, kind in key.items()]
    rest = [sa.Column(column, kind, nullable=True) for column, kind in columns.items()]
    listed = [sa.Index(f"ix_{name}_{'_'.join(index)}", *index) for index in indexes]
    return sa.Table(name, metadata, *keys, *rest, *listed)


TEXT, WHOLE, FLAG, JSON = sa.Text(), sa.BigInteger(), sa.Boolean(), sa.JSON()
REAL: sa.Double[float] = sa.Double()
AT = sa.DateTime(timezone=True)
