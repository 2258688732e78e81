"""The object store on each S3 server that the project embeds or tests against."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from services.runtime.objectstore import PART_BYTES, ObjectDamaged, ObjectMissing, ObjectStore

pytestmark = pytest.mark.integration

BUCKET = "library"


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A name of the test's own: the server is shared."""
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()


def test_what_is_put_is_got_by_its_reference(object_store: ObjectStore, key: str) -> None:
    ref = object_store.put(BUCKET, f"{key}.png", b"pixels", "image/png")
    assert ref.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert object_store.get(ref) == b"pixels"


def test_putting_the_same_object_twice_changes_nothing(object_store: ObjectStore, key: str) -> None:
    assert object_store.put(BUCKET, key, b"pixels") == object_store.put(BUCKET, key, b"pixels")


def test_an_empty_object_is_an_object(object_store: ObjectStore, key: str) -> None:
    assert object_store.get(object_store.put(BUCKET, key, b"")) == b""


def test_a_referenced_object_that_is_missing_is_a_fault_with_a_name(
    object_store: ObjectStore, key: str
) -> None:
    ref = object_store.put(BUCKET, key, b"pixels").model_copy(update={"key": f"{key}-gone"})
    for read in (object_store.get, object_store.check):
        with pytest.raises(ObjectMissing, match=f"library/{key}-gone"):
            read(ref)
    assert not object_store.exists(BUCKET, f"{key}-gone")
    assert object_store.exists(BUCKET, key)


def test_bytes_that_are_not_the_referenced_ones_are_refused(object_store: ObjectStore, key: str) -> None:
    ref = object_store.put(BUCKET, key, b"pixels")
    object_store.check(ref)
    object_store.put(BUCKET, key, b"pixelz")
    for read in (object_store.get, object_store.check):
        with pytest.raises(ObjectDamaged, match=ref.sha256):
            read(ref)


def test_a_range_is_read_alone(object_store: ObjectStore, key: str) -> None:
    object_store.put(BUCKET, key, bytes(range(256)))
    assert object_store.read_range(BUCKET, key, 10, 5) == bytes(range(10, 15))


def test_a_large_file_goes_in_parts_and_comes_back_whole(
    object_store: ObjectStore, key: str, tmp_path: Path
) -> None:
    source, back = tmp_path / "shard.tar", tmp_path / "back" / "shard.tar"
    source.write_bytes(os.urandom(12 * 2**20))  # above the SDK's 5 MiB part
    ref = object_store.put_file(BUCKET, key, source)
    object_store.get_file(ref, back)
    assert back.read_bytes() == source.read_bytes()
    assert [path.name for path in back.parent.iterdir()] == ["shard.tar"]


def test_a_damaged_download_leaves_no_file(object_store: ObjectStore, key: str, tmp_path: Path) -> None:
    ref = object_store.put(BUCKET, key, b"pixels").model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ObjectDamaged):
        object_store.get_file(ref, tmp_path / "shard.tar")
    assert list(tmp_path.iterdir()) == []


def test_keys_are_listed_under_their_prefix(object_store: ObjectStore, key: str) -> None:
    for name in ("a/1", "a/2", "b/1"):
        object_store.put(BUCKET, f"{key}/{name}", b"x")
    assert sorted(object_store.list(BUCKET, f"{key}/a/")) == [f"{key}/a/1", f"{key}/a/2"]


def test_many_threads_share_one_store(object_store: ObjectStore, key: str) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        data = f"pixels of {number}".encode()
        if object_store.get(object_store.put(BUCKET, f"{key}-{number}", data)) != data:
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_missing_bucket_is_told_with_what_to_run(object_store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match=r"deploy\.provision"):
        object_store.ping("no-such-bucket")
    object_store.ping(BUCKET)


class Tap:
    """Yields so many bytes, then ends or fails."""

    def __init__(self, size: int, fault: Exception | None = None) -> None:
        self.left = size
        self.fault = fault

    def read(self, size: int, /) -> bytes:
        given = min(size, self.left)
        self.left -= given
        if self.fault is not None and given < size:
            raise self.fault
        return b"x" * given


@pytest.mark.parametrize("size", [0, 10, PART_BYTES, 2 * PART_BYTES + 1])
def test_a_stream_is_stored_whole_in_parts_of_any_number(
    object_store: ObjectStore, key: str, size: int
) -> None:
    object_store.put_stream(BUCKET, f"{key}-{size}", Tap(size), size)
    assert object_store.read_range(BUCKET, f"{key}-{size}", 0, 0) == b"x" * size


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES + 1])
def test_a_stream_that_ends_early_or_fails_leaves_no_object(
    object_store: ObjectStore, key: str, size: int
) -> None:
    with pytest.raises(OSError, match="enough"):
        object_store.put_stream(BUCKET, f"{key}-{size}", Tap(size), size + 1)
    with pytest.raises(ObjectDamaged, match="half-way"):
        object_store.put_stream(BUCKET, f"{key}-{size}", Tap(size, ObjectDamaged("half-way")), size + 1)
    assert not object_store.exists(BUCKET, f"{key}-{size}")
