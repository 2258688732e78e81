"""Shards of a snapshot on local disk: fetched in parallel, resumable, shared by runs, bounded."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from contracts.manifests import Buckets
from services.runtime.objectstore import ObjectDamaged, StoredObject
from services.runtime.shards import MemberDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.feeding.limits import FeedingLimits
from services.trainer.fitting.feeding.places import Numbers, Places
from services.trainer.fitting.feeding.shard_copy import (
    BLOCK_BYTES,
    JOURNAL,
    ShardCopy,
    remove_unused,
    runs_of,
)

OnRead = Callable[[int, int], None]
"""Told (bytes here, bytes wanted) after each read and while waiting; what it raises ends the fetch."""

SUFFIX = ".tar"


class ShardStore(Protocol):
    """The part of ObjectStore that is needed here."""

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Size and version of an object."""

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, unverified."""


class LocalShards:
    """Copies under ``folder``, one file a shard, open until ``close``; thread-safe once fetched.

    Any number of processes may use one folder: each shard is fetched by one of them while the
    others wait for it, and what a killed one fetched stays.
    """

    def __init__(self, store: ShardStore, folder: Path, limits: FeedingLimits) -> None:
        self._store, self._folder, self._limits = store, folder, limits
        self._copies: dict[str, ShardCopy] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the copies; they stay on disk until their place is needed."""
        self._closing.close()
        self._copies.clear()

    def fetch(self, places: Places, on_read: OnRead = lambda here, wanted: None) -> None:
        """Copy what holds these images and is not here yet.

        Raises:
            ObjectMissing, ObjectDamaged: a shard is not in the store, or gave fewer bytes than asked.
            MemberDamaged: an image is to lie beyond the end of its shard.
            TrainingError: the disk, or the setting shard_cache_bytes, has no room for them.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            wanted = {key: self._blocks_of(key, places, members) for key, members in places.by_shard()}
            self._make_room(wanted)
            self._fill(wanted, on_read)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise _disk_full(self._folder, f"is full ({error.strerror})") from error

    def read(self, shard: str, offset: int, size: int) -> bytes:
        """Bytes of a copy, unverified: a disk may have lost what was written to it."""
        return self._copies[shard].read(offset, size)

    def read_anew(self, shard: str, offset: int, size: int) -> bytes:
        """Bytes of the shard in the store, unverified."""
        return self._store.read_range(Buckets.SNAPSHOTS, shard, offset, size)

    def repair(self, shard: str, offset: int, data: bytes) -> None:
        """Put verified bytes where the copy has lost them."""
        self._copies[shard].write(offset, data)

    def _blocks_of(self, key: str, places: Places, members: Numbers) -> set[int]:
        copy = self._opened(key)
        starts, sizes = places.offsets[members], places.sizes[members]
        # Not by the sum: 64 bits do not hold that of two numbers made to overflow it.
        for number in members[starts > copy.size_bytes - sizes]:
            raise MemberDamaged(
                f"image {places.image_id(number)} at offset {places.offsets[number]} of shard {key} ends "
                f"beyond its {copy.size_bytes} bytes; pack the snapshot again"
            )
        return copy.wanted(zip(starts.tolist(), sizes.tolist(), strict=True))

    def _opened(self, key: str) -> ShardCopy:
        if key not in self._copies:
            told = self._store.stat(Buckets.SNAPSHOTS, key)
            # A key names its content; the version as well, for stores where somebody replaced an object.
            name = hashlib.sha256(f"{key}\n{told.etag}\n{told.size}".encode()).hexdigest()
            copy = ShardCopy(self._folder / f"{name}{SUFFIX}", told.size)
            self._closing.callback(copy.close)
            self._copies[key] = copy
        return self._copies[key]

    def _make_room(self, wanted: dict[str, set[int]]) -> None:
        own = sum(self._copies[key].bytes_of(blocks) for key, blocks in wanted.items())
        limit = self._limits.shard_cache_bytes
        if own > limit:
            raise TrainingError(
                f"the images lie in {_gib(own)} of shards, and local copies may take {_gib(limit)}",
                "raise MENAGERIE_SHARD_CACHE_BYTES, or lower rules.maximum_per_class",
            )
        coming = sum(
            self._copies[key].bytes_of(self._copies[key].missing(blocks)) for key, blocks in wanted.items()
        )
        held = {path: _bytes_on_disk(path) for path in self._folder.glob(f"*{SUFFIX}")}
        over = sum(held.values()) + coming - limit
        for path in sorted(held, key=_last_used):
            if over <= 0:
                break
            if remove_unused(path):
                over -= held[path]
        free = shutil.disk_usage(self._folder).free
        if coming > free:
            raise _disk_full(self._folder, f"has {_gib(free)} free, and {_gib(coming)} are to be fetched")

    def _fill(self, wanted: dict[str, set[int]], on_read: OnRead) -> None:
        total = sum(self._copies[key].bytes_of(blocks) for key, blocks in wanted.items())
        here = 0
        pool = ThreadPoolExecutor(self._limits.fetch_threads, thread_name_prefix="fetch")
        try:
            for key, blocks in wanted.items():
                copy, before = self._copies[key], here
                with copy.fetching(lambda: on_read(before, total)):  # noqa: B023 - called in this turn only
                    missing = copy.missing(blocks)
                    here += copy.bytes_of(blocks.difference(missing))
                    on_read(here, total)
                    reads = [pool.submit(self._copy_run, key, run) for run in runs_of(missing)]
                    for read in as_completed(reads):
                        here += read.result()
                        on_read(here, total)
        finally:
            # Waits for the reads that run: they must not write to a copy that is closed.
            pool.shutdown(cancel_futures=True)

    def _copy_run(self, key: str, blocks: range) -> int:
        copy = self._copies[key]
        offset, size = blocks.start * BLOCK_BYTES, copy.bytes_of(blocks)
        data = self._store.read_range(Buckets.SNAPSHOTS, key, offset, size)
        if len(data) != size:
            raise ObjectDamaged(
                f"{key} gave {len(data)} of {size} bytes from {offset}; it will be read again"
            )
        copy.write(offset, data)
        copy.note(blocks)
        return size


def _last_used(path: Path) -> float:
    try:
        return Path(f"{path}{JOURNAL}").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _bytes_on_disk(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _disk_full(folder: Path, what: str) -> TrainingError:
    return TrainingError(
        f"fetching shards: the disk of {folder} {what}",
        "free the disk, give MENAGERIE_WORK_DIR a larger one, or lower rules.maximum_per_class",
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
