"""Which images people have looked at again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from services.reporter.store.tables import dim_images, fct_double_checks

CHECK = fct_double_checks.c
IMAGE = dim_images.c
MOST = 10_000


def looked_at(connection: sa.Connection, since: datetime) -> set[str]:
    """Images whose newest double-check ended after ``since``, or kept the label that still stands; MOST."""
    newest = (
        sa.select(CHECK.image_id, sa.func.max(CHECK.revision).label("revision"))
        .group_by(CHECK.image_id)
        .subquery()
    )
    kept = sa.and_(
        CHECK.verdict == "keep", sa.or_(IMAGE.labelled_at.is_(None), CHECK.checked_at >= IMAGE.labelled_at)
    )
    query = (
        sa.select(CHECK.image_id)
        .join(newest, sa.and_(newest.c.image_id == CHECK.image_id, newest.c.revision == CHECK.revision))
        .outerjoin(dim_images, IMAGE.image_id == CHECK.image_id)
        .where(CHECK.checked_at.is_not(None), sa.or_(CHECK.checked_at > since, kept))
        .order_by(CHECK.checked_at.desc())
        .limit(MOST)
    )
    return set(connection.scalars(query))
