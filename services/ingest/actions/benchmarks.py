"""Putting images into benchmark sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.commands import AssignBenchmark
from contracts.events import BenchmarkAssigned
from contracts.values import ImageId
from services.ingest.actions.images import known_labels
from services.ingest.domain.benchmarks import benchmark_name
from services.ingest.store import benchmarks
from services.runtime.database import Unit


@dataclass(frozen=True)
class UploadedBenchmark:
    """The benchmark set that an uploader names for an image."""

    image_id: ImageId
    benchmark: str | None
    by: str


def assign_benchmark(unit: Unit, request: AssignBenchmark, at: datetime) -> dict[str, Any]:
    """Put images into a set, move them there from another, or take them out; all or none."""
    known_labels(unit.connection, request.image_ids)
    current = benchmarks.lock_memberships(unit.connection, request.image_ids)
    assigned = [
        BenchmarkAssigned(
            image_id=image_id,
            revision=held.revision + 1,
            benchmark=request.benchmark,
            previous_benchmark=held.benchmark,
            by=request.by,
            reason=request.reason,
            assigned_at=at,
        )
        for image_id, held in current.items()
        if held.benchmark != request.benchmark
    ]
    _tell(unit, assigned)
    return {"changed": len(assigned)}


def benchmark_uploads(unit: Unit, offers: Iterable[UploadedBenchmark], at: datetime) -> None:
    """Begin the history of just uploaded images with the sets their uploaders name.

    A copy may be the first to name one; no offer moves an image that anybody put into a set or took out.
    """
    named = [(offer, name) for offer in offers if (name := benchmark_name(offer.benchmark)) is not None]
    current = benchmarks.lock_memberships(unit.connection, {offer.image_id for offer, _ in named})
    first: dict[ImageId, BenchmarkAssigned] = {}
    for offer, name in named:
        held = current[offer.image_id]
        if offer.image_id in first or held.revision or held.benchmark not in {None, name}:
            continue
        first[offer.image_id] = BenchmarkAssigned(
            image_id=offer.image_id, revision=1, benchmark=name, by=offer.by, assigned_at=at
        )
    _tell(unit, list(first.values()))


def _tell(unit: Unit, assigned: list[BenchmarkAssigned]) -> None:
    benchmarks.write_memberships(unit.connection, assigned)
    for item in assigned:
        unit.emit(item)
