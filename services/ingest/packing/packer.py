"""Streams shards into the object store, several at once; nothing touches the disk."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from contracts.manifests import Buckets
from services.ingest.domain.faults import IngestFault
from services.ingest.domain.shards import Shard, contents
from services.ingest.domain.state import LibraryImage
from services.runtime.objectstore import PART_BYTES, ObjectStore

CONTENT_TYPE = "application/x-tar"

Fetch = Callable[[LibraryImage], bytes]
"""The verified bytes of an image's normalised picture."""

GROUP_BYTES = 256 * 2**10
"""Members are fetched in groups: handing over each by itself costs as much as reading it from a disk."""
AHEAD_BYTES = PART_BYTES
"""What is fetched while a part is being sent: the next one."""
MEMORY_BYTES_PER_SHARD = 3 * PART_BYTES + AHEAD_BYTES + 2 * GROUP_BYTES
"""Most that a shard in the making holds while its members are smaller than a group: the part sent
last, the next one and the pieces it is joined of, and what is fetched ahead."""


class PackingStopped(IngestFault):
    """Another shard failed, or the service stops: the rest is packed when it is asked for again."""


class Packer:
    """Packs ``shard_threads`` shards at once; ``fetch_threads`` fetch the members of all of them."""

    def __init__(self, store: ObjectStore, fetch: Fetch, *, shard_threads: int, fetch_threads: int) -> None:
        self._store = store
        self._fetch = fetch
        self._shard_threads = shard_threads
        self._fetch_threads = fetch_threads

    async def pack(self, shards: Sequence[Shard]) -> AsyncGenerator[Shard, None]:
        """Each shard as soon as its object is complete; close the iterator to stop early.

        Raises:
            ObjectMissing, ObjectDamaged: a picture of the library is not in the store as noted.
        """
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        packing = ThreadPoolExecutor(self._shard_threads, "pack")
        fetching = ThreadPoolExecutor(self._fetch_threads, "pack-fetch")
        tasks = [loop.run_in_executor(packing, self._pack, shard, fetching, stop) for shard in shards]
        try:
            for packed in asyncio.as_completed(tasks):
                yield await packed
        finally:
            stop.set()
            await asyncio.to_thread(packing.shutdown, cancel_futures=True)
            await asyncio.to_thread(fetching.shutdown, cancel_futures=True)
            await asyncio.gather(*tasks, return_exceptions=True)

    def _pack(self, shard: Shard, fetching: ThreadPoolExecutor, stop: threading.Event) -> Shard:
        with closing(self._fetched(shard, fetching, stop)) as pngs:
            stream = PieceStream(contents(shard, pngs))
            self._store.put_stream(Buckets.SNAPSHOTS, shard.key, stream, shard.size_bytes, CONTENT_TYPE)
        return shard

    def _fetched(
        self, shard: Shard, fetching: ThreadPoolExecutor, stop: threading.Event
    ) -> Generator[bytes, None, None]:
        """The members' bytes in order, some fetched ahead."""
        groups = _groups(shard.members)
        waiting: deque[tuple[int, Future[list[bytes]]]] = deque()
        ahead_bytes = 0
        try:
            while True:
                while ahead_bytes < AHEAD_BYTES and (group := next(groups, None)):
                    size = sum(image.normalised.size for image in group)
                    waiting.append((size, fetching.submit(self._fetch_group, group)))
                    ahead_bytes += size
                if not waiting:
                    return
                if stop.is_set():
                    raise PackingStopped(f"shard {shard.key} was given up half-way")
                size, fetched = waiting.popleft()
                yield from fetched.result()
                ahead_bytes -= size
        finally:
            for _, fetched in waiting:
                fetched.cancel()

    def _fetch_group(self, images: Sequence[LibraryImage]) -> list[bytes]:
        return [self._fetch(image) for image in images]


def _groups(images: Iterable[LibraryImage]) -> Iterator[list[LibraryImage]]:
    group: list[LibraryImage] = []
    size = 0
    for image in images:
        if group and size + image.normalised.size > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(image)
        size += image.normalised.size
    if group:
        yield group


class PieceStream:
    """Pieces of bytes as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""
        wanted, taken = size, []
        while wanted:
            piece = self._rest or next(self._pieces, None)
            if piece is None:
                break
            taken.append(piece[:wanted])
            self._rest = piece[wanted:]
            wanted -= len(taken[-1])
        return b"".join(taken)
