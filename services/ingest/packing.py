"""Packs a state of the library into tar shards and a manifest in the object store."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.ingest.domain.manifest import parquet, rows
from services.ingest.domain.shards import Shard, header, member_name, padding
from services.ingest.domain.state import LibraryImage
from services.runtime.objectstore import ObjectStore

AHEAD_PER_THREAD = 4  # fetched members that wait in memory while the disk is written
SCRATCH = "packing"


class Packer:
    """Writes shards in parallel; at no time lies more than one copy of them on disk."""

    def __init__(
        self, store: ObjectStore, work_dir: Path, *, shard_threads: int, object_threads: int
    ) -> None:
        self._store = store
        self._scratch = work_dir / SCRATCH
        self._shard_threads = shard_threads
        self._object_threads = object_threads

    def clear(self) -> None:
        """Remove what a killed process left behind; the folder is this process's own."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def pack(self, shards: Sequence[Shard], snapshot_id: str) -> ObjectRef:
        """Store all shards, then, so that it never names a missing one, the manifest.

        Raises:
            ObjectMissing, ObjectDamaged: a picture of the library is not in the store as noted.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self._shard_threads, "pack") as packing, ExitStack() as stack:
            fetching = stack.enter_context(ThreadPoolExecutor(self._object_threads, "pack-fetch"))
            for done in [packing.submit(self._pack_shard, shard, fetching) for shard in shards]:
                done.result()
        manifest = parquet(rows(shards))
        return self._store.put(Buckets.SNAPSHOTS, f"{snapshot_id}/manifest.parquet", manifest)

    def _pack_shard(self, shard: Shard, fetching: ThreadPoolExecutor) -> None:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            path = Path(folder) / "shard.tar"
            with path.open("wb") as file:
                for image, png in self._fetched(shard.members, fetching):
                    file.write(header(member_name(image), len(png)))
                    file.write(png)
                    file.write(b"\0" * padding(len(png)))
                file.write(b"\0" * (shard.size_bytes - file.tell()))
            self._store.put_file(Buckets.SNAPSHOTS, shard.key, path, "application/x-tar")

    def _fetched(
        self, images: Sequence[LibraryImage], fetching: ThreadPoolExecutor
    ) -> Iterator[tuple[LibraryImage, bytes]]:
        """Each image with its bytes, in order, a few fetched ahead."""
        waiting: deque[tuple[LibraryImage, Future[bytes]]] = deque()
        try:
            for image in images:
                waiting.append((image, fetching.submit(self._store.get, image.normalised)))
                if len(waiting) > self._object_threads * AHEAD_PER_THREAD:
                    first, fetched = waiting.popleft()
                    yield first, fetched.result()
            for first, fetched in waiting:
                yield first, fetched.result()
        finally:
            for _, fetched in waiting:
                fetched.cancel()
