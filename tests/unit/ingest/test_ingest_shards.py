"""Tar shards are made of nothing but their members."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import LabelKind, ObjectRef, Source
from services.ingest.domain.manifest import parquet, rows
from services.ingest.domain.shards import BLOCK_BYTES, RECORD_BYTES, header, member_name, padding, plan
from services.ingest.domain.state import LibraryImage, count, snapshot_id

BODIES = st.lists(st.binary(min_size=1, max_size=1200), max_size=9, unique=True)


def images(bodies: list[bytes], label: str | None = "otter") -> list[LibraryImage]:
    made = []
    for body in bodies:
        digest = hashlib.sha256(body).hexdigest()
        ref = ObjectRef(bucket="library", key=f"normalised/{digest}.png", size=len(body), sha256=digest)
        kind = None if label is None else LabelKind.CLASS
        made.append(LibraryImage(digest, ref, label, kind, Source.REAL, None, digest, None, None))
    return sorted(made, key=lambda image: image.image_id)


@given(bodies=BODIES, shard_images=st.integers(1, 4))
def test_every_image_lies_where_its_place_says(bodies: list[bytes], shard_images: int) -> None:
    by_id = {hashlib.sha256(body).hexdigest(): body for body in bodies}
    shards = plan(images(bodies), "0123456789abcdef", shard_images)
    assert sorted(by_id) == [image.image_id for shard in shards for image in shard.members]
    for shard in shards:
        data = b""
        for image in shard.members:
            body = by_id[image.image_id]
            data += header(member_name(image), len(body)) + body + bytes(padding(len(body)))
        data = data.ljust(shard.size_bytes, b"\0")
        assert len(data) == shard.size_bytes
        assert shard.size_bytes % RECORD_BYTES == 0
        assert data.endswith(bytes(2 * BLOCK_BYTES))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member, image, place in zip(tar, shard.members, shard.places, strict=True):
                file = tar.extractfile(member)
                assert file is not None
                assert file.read() == by_id[image.image_id] == data[place.offset : place.offset + place.size]
                assert (member.name, member.mtime, member.uid, member.gid, member.mode, member.uname) == (
                    f"{image.image_id}.png", 0, 0, 0, 0o644, "",
                )  # fmt: skip


def test_the_header_is_the_one_that_tarfile_writes() -> None:
    member = tarfile.TarInfo("a" * 64 + ".png")
    member.size = 12345
    ours, theirs = header(member.name, 12345), member.tobuf(tarfile.USTAR_FORMAT)
    assert ours == theirs


@pytest.mark.parametrize(("name", "size"), [("a" * 101, 1), ("a", 8**11), ("a", -1)])
def test_what_does_not_fit_into_a_header_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="ustar"):
        header(name, size)


@given(bodies=BODIES)
def test_the_snapshot_id_follows_from_the_state_alone(bodies: list[bytes]) -> None:
    state = images(bodies)
    assert snapshot_id(state, 299, 10) == snapshot_id(images(bodies[::-1]), 299, 10)
    others = {snapshot_id(state, 64, 10), snapshot_id(state, 299, 9)}
    if bodies:
        others |= {snapshot_id(state[1:], 299, 10), snapshot_id(images(bodies, "lion"), 299, 10)}
    assert snapshot_id(state, 299, 10) not in others


def test_a_manifest_has_the_same_bytes_each_time_even_when_it_is_empty() -> None:
    for bodies in ([], [b"a", b"b"]):
        shards = plan(images(bodies), "0123456789abcdef", 1)
        assert parquet(rows(shards)) == parquet(rows(shards))


def test_counts_tell_labelled_from_unlabelled_and_classes_from_labels() -> None:
    state = [*images([b"a", b"b"]), *images([b"c"], "lion"), *images([b"d"], None)]
    counts = count(state)
    assert (counts.images, counts.labelled, counts.unlabelled, counts.classes) == (4, 3, 1, 2)
