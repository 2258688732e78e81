"""Images per class under any version: of the library, and of its snapshots."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter

from contracts.manifests import SNAPSHOT_COLUMNS
from contracts.taxonomy import Taxonomy
from contracts.values import ObjectRef, Source
from services.ingest.domain.classes import LabelCount, count_classes
from services.ingest.domain.labels import stored_kind
from services.ingest.http.snapshots import packed
from services.ingest.http.taxonomy import view
from services.ingest.store.classes import counted_library
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
        taxonomy, snapshot = await database.read(lambda c: (current_taxonomy(c), packed(c, snapshot_id)))
        counts = await asyncio.to_thread(_counts, store, snapshot.manifest)
        version = snapshot.taxonomy_version
        return _answer(taxonomy, counts, version, version if taxonomy_version is None else taxonomy_version)

    return routes


def _answer(
    taxonomy: Taxonomy, counts: Iterable[LabelCount], held: int, wanted: int | None
) -> dict[str, Any]:
    """The counts of labels under the names of version ``held``, by the classes and names of ``wanted``."""
    wanted = taxonomy.version if wanted is None else wanted
    class_of = view(taxonomy, wanted).class_of
    named = (
        LabelCount(
            None if count.label is None else taxonomy.label_at(count.label, held, wanted),
            count.kind,
            count.source,
            count.images,
        )
        for count in counts
    )
    return count_classes(named, wanted, class_of)


def _counts(store: ObjectStore, manifest: ObjectRef) -> list[LabelCount]:
    rows = read_manifest(store.get(manifest), SNAPSHOT_COLUMNS)
    counted = Counter((row["label"], row["label_kind"], row["source"]) for row in rows)
    return [
        LabelCount(label, stored_kind(kind), Source(source), images)
        for (label, kind, source), images in counted.items()
    ]
