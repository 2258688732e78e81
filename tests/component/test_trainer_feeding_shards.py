"""Local copies of shards, out of a real S3 server: whole, killed half-way, shared, damaged, bounded."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from contracts.manifests import Buckets, DatasetRow
from contracts.values import Side
from services.runtime.objectstore import ObjectMissing
from services.runtime.shards import MemberDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.feeding.limits import FeedingLimits
from services.trainer.fitting.feeding.local_shards import LocalShards
from services.trainer.fitting.feeding.places import places_of
from services.trainer.fitting.feeding.shard_copy import BLOCK_BYTES
from services.trainer.fitting.feeding.sides import open_sides
from tests.support.fed_shards import CountedStore, FedShards
from tests.support.servers import S3Server

BIG_PX = 160
"""77 KB a picture: 130 of them make two shards of 5 MB, which are four reads."""


@pytest.fixture
def store(weed: S3Server) -> CountedStore:
    weed.store()  # makes the buckets
    return CountedStore(weed.settings)


@pytest.fixture
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"feeding/{tmp_path.name}"


def fetcher(weed: S3Server, folder: Path, rows: Sequence[DatasetRow], reads: int) -> subprocess.Popen[str]:
    """A process that fetches them; with ``reads`` it waits half-way."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.shard_fetcher", str(folder), str(reads)],
        env={**os.environ, **weed.settings.child_env()}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("".join(f"{row.model_dump_json()}\n" for row in rows))
    process.stdin.close()
    return process


def said(process: subprocess.Popen[str]) -> tuple[str, int]:
    """The next line of a fetcher: the word, and how many bytes it has read by then."""
    output: IO[str] | None = process.stdout
    assert output is not None
    word, count = output.readline().split()
    return word, int(count)


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*.tar"))


def test_each_side_has_its_pictures_in_the_order_of_the_rows(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, images=40)
    with open_sides(store, made.rows, made.size_px, tmp_path) as sides:
        for side, examples in sides.items():
            numbers = np.array([at for at, row in enumerate(made.rows) if row.side is side])
            assert len(examples) == len(numbers) > 0
            np.testing.assert_array_equal(examples.classes, numbers % 3)
            for _ in range(2):  # decoded, and out of what was kept of that
                backwards = np.arange(len(numbers))[::-1]
                np.testing.assert_array_equal(examples.pixels(backwards), made.pixels[numbers[::-1]])
    assert set(sides) == {Side.TRAIN, Side.VALIDATION}


def test_a_fetch_killed_half_way_goes_on_where_it_was(
    weed: S3Server, store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, images=130, size_px=BIG_PX)
    total = made.size_bytes()
    killed = fetcher(weed, tmp_path / "shards", made.rows, reads=2)
    word, before = said(killed)
    killed.kill()
    killed.wait()
    assert word == "waits"
    assert 0 < before < total
    with open_sides(store, made.rows, made.size_px, tmp_path) as sides:
        assert sum(store.read_bytes) == total - before
        chosen = np.arange(len(sides[Side.TRAIN]))
        train = [at for at, row in enumerate(made.rows) if row.side is Side.TRAIN]
        np.testing.assert_array_equal(sides[Side.TRAIN].pixels(chosen), made.pixels[train])


def test_two_processes_at_once_fetch_every_byte_once(weed: S3Server, name: str, tmp_path: Path) -> None:
    made = FedShards(weed.store(), name, images=130, size_px=BIG_PX)
    total = made.size_bytes()
    processes = [fetcher(weed, tmp_path / "shards", made.rows, reads=0) for _ in range(2)]
    told = [said(process) for process in processes]
    assert [process.wait() for process in processes] == [0, 0]
    assert {word for word, _ in told} == {"fetched"}
    assert sum(count for _, count in told) == total


def test_who_waits_for_a_killed_process_takes_over_from_it(
    weed: S3Server, store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, images=130, size_px=BIG_PX, shards=1)
    other = fetcher(weed, tmp_path, made.rows, reads=1)
    assert said(other)[0] == "waits"
    waits = 0

    def told(_here: int, _wanted: int) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:  # it has seen the lock three times
            other.kill()
            other.wait()

    with LocalShards(store, tmp_path, FeedingLimits()) as shards:
        shards.fetch(places_of(made.rows), told)
        row = made.rows[-1]
        assert len(shards.read(row.shard, row.offset, row.size)) == row.size
    assert waits >= 3


def test_few_pictures_of_a_shard_are_fetched_without_the_rest(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, images=130, size_px=BIG_PX, shards=1)
    few = made.rows[::40]
    with open_sides(store, few, made.size_px, tmp_path) as sides:
        pixels = sides[Side.TRAIN].pixels(np.arange(len(sides[Side.TRAIN])))
        train = [at for at, row in enumerate(made.rows) if row in few and row.side is Side.TRAIN]
        np.testing.assert_array_equal(pixels, made.pixels[train])
    assert sum(store.read_bytes) <= 2 * len(few) * BLOCK_BYTES
    assert on_disk(tmp_path / "shards") <= 2 * len(few) * BLOCK_BYTES
    with open_sides(store, made.rows, made.size_px, tmp_path):
        assert sum(store.read_bytes) == made.size_bytes()


def test_what_a_disk_lost_is_read_anew_and_stays_repaired(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, shards=1)
    with open_sides(store, made.rows, made.size_px, tmp_path):
        pass
    (copy,) = (tmp_path / "shards").glob("*.tar")
    os.truncate(copy, 4096)
    for reads in (1, 0):  # a row's bytes are asked for again once, and the next run finds them
        store.read_bytes.clear()
        with open_sides(store, made.rows, made.size_px, tmp_path) as sides:
            train = sides[Side.TRAIN].pixels(np.array([8]))
        np.testing.assert_array_equal(train[0], made.pixels[8])
        assert len(store.read_bytes) == reads


def test_a_picture_damaged_in_the_store_is_named(store: CountedStore, name: str, tmp_path: Path) -> None:
    made = FedShards(store, name, shards=1)
    row = made.rows[3]
    held = bytearray(store.read_range(Buckets.SNAPSHOTS, row.shard, 0, row.offset + row.size + 100_000))
    held[row.offset + 200] ^= 1
    store.put(Buckets.SNAPSHOTS, row.shard, bytes(held))
    with open_sides(store, made.rows, made.size_px, tmp_path) as sides:
        train = sides[Side.TRAIN]
        assert train.pixels(np.array([2, 4])).shape == (2, 16, 16, 3)
        with pytest.raises(MemberDamaged, match=f"image {row.image_id} at offset {row.offset} .* pack the"):
            train.pixels(np.array([3]))


@pytest.mark.parametrize("place", [{"offset": 10**12}, {"offset": 2**63 - 1, "size": 2**63 - 1}])
def test_a_picture_beyond_the_end_of_its_shard_is_named(
    place: dict[str, int], store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name)
    far = made.rows[0].model_copy(update=place)
    with (
        pytest.raises(MemberDamaged, match=r"ends beyond its \d+ bytes; pack the snapshot again"),
        open_sides(store, [far], made.size_px, tmp_path),
    ):
        pass


def test_a_shard_that_is_not_there_is_a_fault_of_the_store(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name)
    store.remove(Buckets.SNAPSHOTS, made.rows[0].shard)
    with pytest.raises(ObjectMissing), open_sides(store, made.rows, made.size_px, tmp_path):
        pass


def test_copies_that_nobody_uses_make_room_the_oldest_first(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    snapshots = [
        FedShards(store, f"{name}/{n}", images=20, size_px=BIG_PX, shards=1, seed=n) for n in range(3)
    ]
    size = snapshots[0].size_bytes()
    two = FeedingLimits(shard_cache_bytes=int(2.2 * size))
    for made in snapshots[:2]:
        with LocalShards(store, tmp_path, two) as shards:
            shards.fetch(places_of(made.rows))
    older, newer = sorted(tmp_path.glob("*.tar"), key=lambda path: Path(f"{path}.blocks").stat().st_mtime_ns)
    with LocalShards(store, tmp_path, two) as shards:
        shards.fetch(places_of(snapshots[2].rows))
        assert not older.exists()
        assert newer.exists()
        assert on_disk(tmp_path) <= two.shard_cache_bytes


def test_copies_in_use_stay_and_the_others_go_for_them(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    used, idle, coming = [
        FedShards(store, f"{name}/{n}", images=20, size_px=BIG_PX, shards=1, seed=n) for n in range(3)
    ]
    size = used.size_bytes()
    two = FeedingLimits(shard_cache_bytes=int(2.2 * size))
    with LocalShards(store, tmp_path, two) as first:
        first.fetch(places_of(used.rows))
        with LocalShards(store, tmp_path, two) as second:
            second.fetch(places_of(idle.rows))
        with LocalShards(store, tmp_path, two) as third:
            third.fetch(places_of(coming.rows))
            for shards, made in ((first, used), (third, coming)):
                row = made.rows[-1]
                assert len(shards.read(row.shard, row.offset, row.size)) == row.size
        assert len(list(tmp_path.glob("*.tar"))) == 2


def test_more_than_copies_may_take_is_refused_with_the_setting_to_raise(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name, images=20, size_px=BIG_PX)
    limits = FeedingLimits(shard_cache_bytes=2**20)
    with (
        pytest.raises(TrainingError, match=r"copies may take 0.0 GiB; raise MENAGERIE_SHARD_CACHE_BYTES"),
        open_sides(store, made.rows, made.size_px, tmp_path, limits),
    ):
        pass
    assert store.read_bytes == []


@pytest.mark.parametrize("when", ["before", "while writing"])
def test_a_full_disk_is_named_with_a_remedy(
    store: CountedStore, name: str, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = FedShards(store, name)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if when == "before":
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    else:
        monkeypatch.setattr(os, "pwrite", full)
    with (
        pytest.raises(TrainingError, match=rf"the disk of {tmp_path}.* (free, and|is full).*; free the disk"),
        open_sides(store, made.rows, made.size_px, tmp_path),
    ):
        pass


def test_what_the_listener_raises_ends_the_fetch_and_its_threads(
    store: CountedStore, name: str, tmp_path: Path
) -> None:
    made = FedShards(store, name)

    class Stopped(Exception):
        pass

    def stop(here: int, _wanted: int) -> None:
        if here:
            raise Stopped

    with pytest.raises(Stopped), open_sides(store, made.rows, made.size_px, tmp_path, on_read=stop):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch")]
