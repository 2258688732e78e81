"""Answers requests for a snapshot: the library as it is, packed once per state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from contracts.commands import RequestSnapshot
from contracts.events import SnapshotPacked, SnapshotProgressed
from contracts.manifests import Buckets
from contracts.taxonomy import Taxonomy
from services.ingest.domain import manifest
from services.ingest.domain.shards import Shard, plan
from services.ingest.domain.state import LibraryImage, StateCounts, count
from services.ingest.packing.packer import Packer
from services.ingest.store import snapshots
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore


@dataclass(frozen=True)
class Draft:
    """A snapshot that is planned down to the last byte and not packed yet."""

    snapshot_id: str
    shards: Sequence[Shard]
    rows: manifest.Columns
    taxonomy: Taxonomy
    counts: StateCounts


def drafted(images: Sequence[LibraryImage], taxonomy: Taxonomy, image_size_px: int) -> Draft:
    """What a state of the library packs to."""
    shards, version = plan(images), taxonomy.version
    rows = manifest.columns(shards, taxonomy.at(version).class_of, version)
    snapshot_id = manifest.snapshot_id(rows, version, image_size_px)
    return Draft(snapshot_id, shards, rows, taxonomy, count(images, rows["class_name"]))


class Snapshots:
    """Packs what no earlier snapshot has packed; whatever a crash interrupts goes on from there."""

    def __init__(
        self, database: Database, store: ObjectStore, packer: Packer, *, image_size_px: int, shard_images: int
    ) -> None:
        self._database = database
        self._store = store
        self._packer = packer
        self._image_size_px = image_size_px
        self._shard_images = shard_images
        self._turn = asyncio.Lock()

    async def answer(self, request: RequestSnapshot) -> None:
        """Pack the library as it is now; the same state is packed once and answered each time."""
        request_id = request.request_id
        async with self._turn:  # a second request at once would pack the same shards beside the first
            if await self._database.read(lambda connection: snapshots.answered(connection, request_id)):
                return
            await self._database.run(
                lambda unit: snapshots.number_images(unit.connection, self._shard_images)
            )
            images, taxonomy = await self._database.read(snapshots.library_state)
            draft = await asyncio.to_thread(drafted, images, taxonomy, self._image_size_px)
            packed = await self._database.read(
                lambda connection: snapshots.packed_snapshot(connection, draft.snapshot_id, request_id)
            )
            packed = packed or await self._pack(draft, request_id)
            await self._database.run(lambda unit: _answer(unit, packed))

    async def _pack(self, draft: Draft, request_id: str) -> SnapshotPacked:
        standing = await self._standing(draft.shards)
        await self._pack_shards(draft, request_id, standing)
        return await asyncio.to_thread(self._finish, draft, request_id, len(standing))

    async def _standing(self, shards: Sequence[Shard]) -> list[Shard]:
        keys = [shard.key for shard in shards]
        noted = await self._database.read(lambda connection: snapshots.noted_shards(connection, keys))
        there = await asyncio.to_thread(
            lambda: {key for key in noted if self._store.exists(Buckets.SNAPSHOTS, key)}
        )
        return [shard for shard in shards if shard.key in there]

    async def _pack_shards(self, draft: Draft, request_id: str, standing: Sequence[Shard]) -> None:
        done = list(standing)
        there = {shard.key for shard in standing}
        missing = [shard for shard in draft.shards if shard.key not in there]
        async with aclosing(self._packer.pack(missing)) as packed:
            async for shard in packed:
                done.append(shard)
                # A shard that is noted is not packed again, so it must outlast a power loss.
                await asyncio.to_thread(self._store.sync)
                await self._database.run(partial(_note, shard=shard, told=_progress(draft, request_id, done)))

    def _finish(self, draft: Draft, request_id: str, shards_reused: int) -> SnapshotPacked:
        """The manifest last: a snapshot is there as a whole or not at all."""
        version, operations = draft.taxonomy.version, draft.taxonomy.model_dump_json().encode()
        taxonomy = self._store.put(
            Buckets.LIBRARY, f"taxonomy/{version}.json", operations, "application/json"
        )
        manifest_key = f"{draft.snapshot_id}/manifest.parquet"
        stored = self._store.put(Buckets.SNAPSHOTS, manifest_key, manifest.parquet(draft.rows))
        self._store.sync()  # before the commit, for the same reason as the shards
        return SnapshotPacked(
            request_id=request_id,
            snapshot_id=draft.snapshot_id,
            manifest=stored,
            images=draft.counts.images,
            labelled=draft.counts.labelled,
            unlabelled=draft.counts.unlabelled,
            classes=draft.counts.classes,
            shards=len(draft.shards),
            shards_reused=shards_reused,
            size_bytes=sum(shard.size_bytes for shard in draft.shards) + stored.size,
            image_size_px=self._image_size_px,
            taxonomy_version=version,
            taxonomy=taxonomy,
            packed_at=datetime.now(UTC),
        )


def _progress(draft: Draft, request_id: str, done: Sequence[Shard]) -> SnapshotProgressed:
    return SnapshotProgressed(
        request_id=request_id,
        snapshot_id=draft.snapshot_id,
        shards=len(draft.shards),
        shards_done=len(done),
        images=draft.counts.images,
        images_done=sum(len(shard.members) for shard in done),
        size_bytes=sum(shard.size_bytes for shard in done),
        progressed_at=datetime.now(UTC),
    )


def _note(unit: Unit, shard: Shard, told: SnapshotProgressed) -> None:
    snapshots.note_shard(unit.connection, shard, told.progressed_at)
    unit.emit(told)


def _answer(unit: Unit, packed: SnapshotPacked) -> None:
    if snapshots.answered(unit.connection, packed.request_id):
        return
    snapshots.keep_snapshot(unit.connection, packed)
    snapshots.keep_answer(unit.connection, packed.request_id, packed.snapshot_id, datetime.now(UTC))
    unit.emit(packed)
