"""Images per class under any version: of the library, and of its snapshots."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from contracts.manifests import SNAPSHOT_COLUMNS
from contracts.taxonomy import Taxonomy
from contracts.values import LabelKind, ObjectRef, Source
from services.ingest.domain.classes import LabelCount, count_classes
from services.ingest.domain.faults import ActionRefused
from services.ingest.http.taxonomy import view
from services.ingest.store.classes import counted_library, manifest_of
from services.ingest.store.taxonomy import current_taxonomy
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import read_manifest


def router(database: Database, store: ObjectStore) -> APIRouter:
    """The train view: what a run on the library, or on a snapshot, would have to train on."""
    routes = APIRouter(prefix="/api/v1")

    @routes.get("/classes")
    async def of_library(taxonomy_version: int | None = None) -> dict[str, Any]:
        taxonomy, counts = await database.read(counted_library)
        return _answer(taxonomy, counts, taxonomy.version, taxonomy_version)

    @routes.get("/snapshots/{snapshot_id}/classes")
    async def of_snapshot(snapshot_id: str, taxonomy_version: int | None = None) -> dict[str, Any]:
        taxonomy, (manifest, packed) = await database.read(
            lambda c: (current_taxonomy(c), _manifest(c, snapshot_id))
        )
        counts = await asyncio.to_thread(_counts, store, manifest)
        return _answer(taxonomy, counts, packed, packed if taxonomy_version is None else taxonomy_version)

    return routes


def _answer(
    taxonomy: Taxonomy, counts: Iterable[LabelCount], packed: int, wanted: int | None
) -> dict[str, Any]:
    """The counts of labels under the names of ``packed``, by the classes and names of ``wanted``."""
    wanted = taxonomy.version if wanted is None else wanted
    class_of = view(taxonomy, wanted).class_of
    named = (
        LabelCount(
            None if count.label is None else taxonomy.label_at(count.label, packed, wanted),
            count.kind,
            count.source,
            count.images,
        )
        for count in counts
    )
    return count_classes(named, wanted, class_of)


def _manifest(connection: sa.Connection, snapshot_id: str) -> tuple[ObjectRef, int]:
    found = manifest_of(connection, snapshot_id)
    if found is None:
        raise ActionRefused(404, f"no snapshot {snapshot_id[:80]!r}; GET /api/v1/snapshots lists them")
    return found


def _counts(store: ObjectStore, manifest: ObjectRef) -> list[LabelCount]:
    rows = read_manifest(store.get(manifest), SNAPSHOT_COLUMNS)
    counted = Counter((row["label"], row["label_kind"], row["source"]) for row in rows)
    return [
        LabelCount(label, None if kind is None else LabelKind(kind), Source(source), images)
        for (label, kind, source), images in counted.items()
    ]
