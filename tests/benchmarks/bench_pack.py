"""Packing 20,000 images of 30 KB and reading them again, beside GNU tar, tarfile and plain files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contracts.manifests import Buckets
from contracts.values import ObjectRef, Source
from services.ingest.domain.manifest import columns
from services.ingest.domain.shards import Shard, plan
from services.ingest.domain.state import LibraryImage
from services.ingest.packing.packer import Packer
from services.runtime.objectstore import PART_BYTES, ObjectDamaged, ObjectStore, Readable
from services.runtime.shards import fetch_images
from tests.support.servers import S3Server

IMAGES = int(os.environ.get("BENCH_IMAGES", "20000"))
SHARDS = 2
IMAGE_BYTES = 30_000
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
RANDOM_READS = 2_000


class Folder:
    """A library's pictures as files, in the shards they will be packed to."""

    def __init__(self, path: Path) -> None:
        self.files, self.tars = path / "files", path / "tars"
        self.files.mkdir()
        self.tars.mkdir()
        chance = random.Random(0)
        refs = sorted((self._file(chance) for _ in range(IMAGES)), key=lambda ref: ref.sha256)
        per_shard = -(-IMAGES // SHARDS)
        self.shards = plan(
            LibraryImage(
                ref.sha256,
                ref,
                None,
                None,
                Source.REAL,
                None,
                None,
                ref.sha256,
                None,
                None,
                number // per_shard,
            )
            for number, ref in enumerate(refs)
        )
        for number, shard in enumerate(self.shards):
            names = "".join(f"{image.image_id}.png\n" for image in shard.members)
            (self.tars / f"{number}.names").write_text(names)

    def _file(self, chance: random.Random) -> ObjectRef:
        data = chance.randbytes(IMAGE_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        (self.files / f"{digest}.png").write_bytes(data)
        return ObjectRef(bucket=Buckets.LIBRARY, key=digest, size=len(data), sha256=digest)

    def fetch(self, image: LibraryImage) -> bytes:
        """Verified, as the object store would."""
        data = (self.files / f"{image.image_id}.png").read_bytes()
        if hashlib.sha256(data).hexdigest() != image.normalised.sha256:
            raise ObjectDamaged(image.image_id)
        return data

    def read_all(self) -> int:
        """What nobody can do without."""
        return sum(len(path.read_bytes()) for path in self.files.iterdir())

    def tar(self, number: int) -> Path:
        """GNU tar packs a shard's files."""
        target = self.tars / f"{number}.tar"
        names = self.tars / f"{number}.names"
        subprocess.run(["tar", "cf", target, "-C", self.files, "-T", names, "--format=ustar"], check=True)
        return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    path = tmp_path_factory.mktemp("pack")
    yield Folder(path)
    shutil.rmtree(path)


class LocalShards:
    """Shard files that a trainer has copied: ``key`` is a path, and each file is opened once."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def read_range(self, _bucket: str, key: str, offset: int, size: int) -> bytes:
        descriptor = self._open.get(key)
        if descriptor is None:
            descriptor = self._open[key] = os.open(key, os.O_RDONLY)
        return os.pread(descriptor, size, offset)


def interleaved(
    variants: Mapping[str, Callable[[], object]], after: Callable[[], object]
) -> dict[str, float]:
    """Median seconds of each; the variants take turns, so that a busy machine is busy for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(RUNS):
        for name, work in variants.items():
            started = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - started)
            after()
    return {name: statistics.median(times) for name, times in taken.items()}


def table(title: str, medians: Mapping[str, float], peer: str, floor: str) -> None:
    print(f"\n{title}: medians of {RUNS} interleaved runs\n{'':44}      s   peer's x  floor's x")
    for name, seconds in medians.items():
        print(f"{name:44} {seconds:6.2f} {medians[peer] / seconds:9.2f} {seconds / medians[floor]:10.2f}")


class Sink(ObjectStore):
    """Takes a stream as fast as it comes."""

    def __init__(self) -> None:
        pass

    def put_stream(self, *args: Any) -> None:
        data: Readable = args[2]
        while data.read(PART_BYTES):
            pass


def pack(store: ObjectStore, folder: Folder, workers: int) -> None:
    """As ingest does, out of files."""

    async def packing() -> None:
        packer = Packer(store, folder.fetch, shard_threads=workers, fetch_threads=8)
        assert len([shard async for shard in packer.pack(folder.shards)]) == SHARDS

    asyncio.run(packing())


def side_by_side(work: Callable[[int], object], workers: int = SHARDS) -> None:
    """``work`` for each shard."""
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(work, range(SHARDS)))


def test_pack_as_such(folder: Folder) -> None:
    medians = interleaved(
        {"1 GNU tar": lambda: side_by_side(folder.tar, 1), "2 GNU tars": lambda: side_by_side(folder.tar),
         "ours to a sink, 1 worker": lambda: pack(Sink(), folder, 1),
         "ours to a sink, 2 workers": lambda: pack(Sink(), folder, 2),
         "floor: every file read": folder.read_all},
        lambda: None,
    )  # fmt: skip
    table(f"pack {IMAGES} files of {IMAGE_BYTES} bytes", medians, "2 GNU tars", "floor: every file read")


def test_pack_into_the_object_store(folder: Folder, weed: S3Server) -> None:
    store = weed.store()

    def upload(number: int) -> None:
        store._client.fput_object(Buckets.SNAPSHOTS, f"peer/{number}.tar", str(folder.tars / f"{number}.tar"))

    def peer() -> None:
        side_by_side(lambda number: (folder.tar(number), upload(number)))

    def ready() -> None:
        side_by_side(upload)

    def clear() -> None:
        for key in list(store.list(Buckets.SNAPSHOTS)):
            store._client.remove_object(Buckets.SNAPSHOTS, key)

    peer()  # warms the page cache and the server
    clear()
    medians = interleaved(
        {"2 GNU tars, then 2 fput_object": peer, "floor: 2 fput_object of ready tars": ready,
         "ours, 1 worker": lambda: pack(store, folder, 1), "ours, 2 workers": lambda: pack(store, folder, 2)},
        clear,
    )  # fmt: skip
    table(f"pack {IMAGES} files of {IMAGE_BYTES} bytes into S3", medians, *list(medians)[:2])


def rows_of(shards: list[Shard], paths: Mapping[str, str]) -> list[dict[str, Any]]:
    """Manifest rows with the paths of local copies for keys."""
    held = columns(shards, str, 0)
    wanted = ("image_id", "shard", "offset", "size", "sha256")
    rows = [
        dict(zip(wanted, values, strict=True))
        for values in zip(*(held[name] for name in wanted), strict=True)
    ]
    return [row | {"shard": paths[row["shard"]]} for row in rows]


@pytest.fixture(scope="module")
def rows(folder: Folder) -> list[dict[str, Any]]:
    """Of local copies of the shards."""
    return rows_of(folder.shards, {shard.key: str(folder.tar(n)) for n, shard in enumerate(folder.shards)})


def test_read_all_members_in_memory(folder: Folder, rows: list[dict[str, Any]]) -> None:
    paths = [folder.tars / f"{number}.tar" for number in range(SHARDS)]

    def blob() -> int:
        return sum(len(path.read_bytes()) for path in paths)

    def with_tarfile() -> int:
        total = 0
        for path in paths:
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    assert file is not None
                    total += len(file.read())
        return total

    def fetched() -> int:
        return sum(len(png) for _, png in fetch_images(LocalShards(), rows))

    def by_place() -> int:
        shards = LocalShards()
        return sum(len(shards.read_range("", r["shard"], r["offset"], r["size"])) for r in rows)

    def hashed() -> int:
        return sum(len(hashlib.sha256(path.read_bytes()).digest()) for path in paths)

    assert with_tarfile() == fetched() == by_place() == IMAGES * IMAGE_BYTES
    medians = interleaved(
        {"tarfile": with_tarfile, "floor: the blobs alone": blob, "the blobs and their SHA-256": hashed,
         "ours, by the places of the manifest": by_place, "ours, every digest verified": fetched},
        lambda: None,
    )  # fmt: skip
    table("read all members", medians, *list(medians)[:2])


def test_read_members_at_random(folder: Folder, rows: list[dict[str, Any]]) -> None:
    chosen = random.Random(1).sample(rows, min(RANDOM_READS, len(rows)))

    def extracted() -> int:
        return sum(len((folder.files / f"{row['image_id']}.png").read_bytes()) for row in chosen)

    def plainly() -> int:
        total = 0
        for row in chosen:
            with open(f"{folder.files}/{row['image_id']}.png", "rb") as file:  # noqa: PTH123 - the quickest way
                total += len(file.read())
        return total

    def by_offset() -> int:
        shards = LocalShards()
        return sum(len(shards.read_range("", r["shard"], r["offset"], r["size"])) for r in chosen)

    assert extracted() == by_offset() == len(chosen) * IMAGE_BYTES
    medians = interleaved(
        {"extracted files": plainly, "extracted files, pathlib": extracted, "ours, by offset": by_offset},
        lambda: None,
    )
    table(f"read {len(chosen)} members at random", medians, "extracted files", "extracted files")
