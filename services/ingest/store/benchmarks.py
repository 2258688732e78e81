"""Benchmark sets and their history, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

import sqlalchemy as sa

from contracts.events import BenchmarkAssigned
from contracts.values import ImageId
from services.ingest.domain.benchmarks import STANDARD, BenchmarkSet, Membership
from services.ingest.store.images import locked_images
from services.ingest.store.tables import benchmark_change, image


def lock_memberships(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, Membership]:
    """Benchmark sets of the images that are known, locked until the transaction ends."""
    columns = image.c.benchmark, image.c.benchmark_revision
    return {
        row.image_id: Membership(row.benchmark, row.benchmark_revision)
        for row in locked_images(connection, image_ids, *columns)
    }


def write_memberships(connection: sa.Connection, assigned: Sequence[BenchmarkAssigned]) -> None:
    """Move images to their sets and keep the changes."""
    if not assigned:
        return
    statement = (
        sa.update(image)
        .where(image.c.image_id == sa.bindparam("key"))
        .values(benchmark=sa.bindparam("joined"), benchmark_revision=sa.bindparam("number"))
    )
    connection.execute(
        statement,
        [{"key": item.image_id, "joined": item.benchmark, "number": item.revision} for item in assigned],
    )
    rows = [
        {
            "image_id": item.image_id,
            "revision": item.revision,
            "previous_benchmark": item.previous_benchmark,
            "benchmark": item.benchmark,
            "changed_by": item.by,
            "changed_at": item.assigned_at.astimezone(UTC),
            "reason": item.reason,
        }
        for item in assigned
    ]
    connection.execute(sa.insert(benchmark_change), rows)


def benchmark_sets(connection: sa.Connection) -> list[BenchmarkSet]:
    """The standard sets, empty ones too, then the users' own by name."""
    query = (
        sa.select(
            image.c.benchmark,
            sa.func.count().label("images"),
            sa.func.count(image.c.label.distinct()).label("labels"),
        )
        .where(image.c.benchmark.is_not(None))
        .group_by(image.c.benchmark)
    )
    found = {row.benchmark: BenchmarkSet(*row) for row in connection.execute(query)}
    own = sorted(found.keys() - set(STANDARD))
    return [found.get(name, BenchmarkSet(name, 0, 0)) for name in (*STANDARD, *own)]
