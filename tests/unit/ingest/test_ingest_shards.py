"""Tar shards and manifests are made of nothing but the state of the library."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.manifests import SNAPSHOT_COLUMNS, SnapshotRow
from contracts.values import LabelKind, ObjectRef, Source
from services.ingest.domain.manifest import columns, parquet, snapshot_id
from services.ingest.domain.shards import BLOCK_BYTES, RECORD_BYTES, appended, contents, header, plan
from services.ingest.domain.state import LibraryImage, count
from services.ingest.packing.packer import PieceStream
from services.runtime.shards import read_manifest

BODIES = st.lists(st.binary(min_size=1, max_size=1200), max_size=9, unique=True)


def images(bodies: Iterable[bytes], shard_images: int = 100, **fields: Any) -> list[LibraryImage]:
    """Real images labelled otter, sorted, so many in a shard, unless ``fields`` say otherwise."""
    made = []
    for number, body in enumerate(sorted(bodies, key=lambda one: hashlib.sha256(one).hexdigest())):
        digest = hashlib.sha256(body).hexdigest()
        ref = ObjectRef(bucket="library", key=f"normalised/{digest}.png", size=len(body), sha256=digest)
        values: dict[str, Any] = {
            "image_id": digest, "normalised": ref, "label": "otter", "label_kind": LabelKind.CLASS,
            "source": Source.REAL, "guest": None, "visit": None, "group": digest, "near_duplicate_of": None,
            "benchmark": None, "shard_number": number // shard_images,
        }  # fmt: skip
        made.append(LibraryImage(**(values | fields)))
    return made


def manifest(state: Iterable[LibraryImage], taxonomy_version: int = 0) -> dict[str, list[Any]]:
    return columns(plan(state), str.upper, taxonomy_version)


def name_of(state: Iterable[LibraryImage], image_size_px: int = 299) -> str:
    return snapshot_id(manifest(state), 0, image_size_px)


@given(bodies=BODIES, shard_images=st.integers(1, 4), read_bytes=st.integers(1, 3000))
def test_every_image_lies_where_its_place_says(
    bodies: list[bytes], shard_images: int, read_bytes: int
) -> None:
    by_id = {hashlib.sha256(body).hexdigest(): body for body in bodies}
    shards = plan(images(bodies, shard_images))
    assert sorted(by_id) == [image.image_id for shard in shards for image in shard.members]
    for shard in shards:
        stream = PieceStream(contents(shard, (by_id[image.image_id] for image in shard.members)))
        data = b"".join(iter(partial(stream.read, read_bytes), b""))
        assert len(data) == shard.size_bytes
        assert shard.size_bytes % RECORD_BYTES == 0
        assert data.endswith(bytes(2 * BLOCK_BYTES))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member, image, offset in zip(tar, shard.members, shard.offsets, strict=True):
                file = tar.extractfile(member)
                assert file is not None
                body = by_id[image.image_id]
                assert file.read() == body == data[offset : offset + len(body)]
                assert (member.name, member.mtime, member.uid, member.gid, member.mode, member.uname) == (
                    f"{image.image_id}.png", 0, 0, 0, 0o644, "",
                )  # fmt: skip


@given(st.lists(st.sets(st.integers(0, 200), max_size=30), max_size=6), st.integers(1, 7))
def test_appending_fills_the_last_shard_and_leaves_every_other_one_as_it_is(
    arrivals: list[set[int]], shard_images: int
) -> None:
    numbers: dict[str, int] = {}
    for arrival in arrivals:
        held = Counter(numbers.values())
        last = max(held.items(), default=None)
        new = {f"{number:03d}" for number in arrival} - numbers.keys()
        given_now = appended(new, last, shard_images)
        assert given_now.keys() == new
        assert all(last is None or number >= last[0] for number in given_now.values())
        numbers |= given_now
        sizes = Counter(numbers.values())
        assert [sizes[number] for number in range(len(sizes) - 1)] == [shard_images] * (len(sizes) - 1)
        assert max(sizes.values(), default=0) <= shard_images


def test_a_lower_limit_leaves_a_fuller_shard_alone() -> None:
    assert appended(["b", "a"], (3, 9), 1) == {"a": 4, "b": 5}


def test_the_key_of_a_shard_follows_from_its_members_alone() -> None:
    one, other = images([b"a", b"b"], label="otter"), images([b"a", b"b"], label="lion", shard_number=7)
    assert plan(one)[0].key == plan(other)[0].key
    assert plan(one)[0].key.startswith("shards/")
    repainted = [replace(one[0], normalised=one[1].normalised), one[1]]
    keys = {plan(state)[0].key for state in (one, repainted, one[:1], images([b"a", b"c"]))}
    assert len(keys) == 4


def test_a_member_of_another_size_than_planned_is_refused_with_its_name() -> None:
    [shard] = plan(images([b"otter"]))
    with pytest.raises(ValueError, match=f"{shard.members[0].image_id} has 3 bytes"):
        list(contents(shard, [b"ape"]))
    with pytest.raises(ValueError, match="shorter"):
        list(contents(shard, []))


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
    state = images(bodies, 4)
    assert name_of(state) == name_of(images(bodies[::-1], 4)) == name_of(state[::-1])
    others = {name_of(state, 64), snapshot_id(manifest(state, 1), 1, 299)}
    if bodies:
        others |= {name_of(state[1:]), name_of([replace(state[0], label="lion"), *state[1:]])}
    if len(bodies) > 1:
        others.add(name_of(images(bodies, 1)))
    assert name_of(state) not in others


CHANGES: list[dict[str, Any]] = [
    {"label": "lion"}, {"label": None, "label_kind": None}, {"label_kind": LabelKind.REJECTED},
    {"source": Source.STAGED}, {"guest": "g"}, {"visit": "v"}, {"group": "0" * 64},
    {"near_duplicate_of": "0" * 64}, {"benchmark": "difficult"}, {"shard_number": 1},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=",".join)
def test_the_snapshot_id_covers_all_that_the_manifest_says(change: dict[str, Any]) -> None:
    state = images([b"a", b"b"])
    assert name_of(state) != name_of([replace(state[0], **change), state[1]])


def test_a_manifest_is_sorted_by_image_and_each_of_its_rows_is_one_of_the_contract() -> None:
    state = images([b"a", b"b", b"c"])
    # As after a second pack: an early image id in a late shard.
    state = [replace(state[0], shard_number=2), *state[1:]]
    rows = read_manifest(parquet(manifest(state, 3)), SNAPSHOT_COLUMNS)
    assert [row["image_id"] for row in rows] == [image.image_id for image in state]
    assert rows[0]["shard"] != rows[1]["shard"] == rows[2]["shard"]
    read = [SnapshotRow.model_validate(row) for row in rows]
    assert {(row.class_name, row.taxonomy_version, row.offset > 0) for row in read} == {("OTTER", 3, True)}


def test_only_a_label_of_kind_class_has_a_class() -> None:
    state = [
        *images([b"a"]),
        *images([b"b"], label_kind=LabelKind.OUT_OF_SCOPE),
        *images([b"c"], label=None, label_kind=None),
    ]
    rows = manifest(state)
    assert Counter(rows["class_name"]) == {"OTTER": 1, None: 2}
    assert json.dumps(rows)  # plain values, no enumerations


def test_a_manifest_has_the_same_bytes_each_time_even_when_it_is_empty() -> None:
    for bodies in ([], [b"a", b"b"]):
        data = parquet(manifest(images(bodies, 1)))
        assert data == parquet(manifest(images(bodies, 1)))
        schema = pq.read_schema(pa.BufferReader(data))
        assert schema.names == list(SNAPSHOT_COLUMNS)


def test_a_manifest_of_an_older_version_reads_with_empty_columns() -> None:
    table = pq.read_table(pa.BufferReader(parquet(manifest(images([b"a"])))))
    sink = io.BytesIO()
    pq.write_table(table.drop_columns(["class_name", "visit"]), sink)
    [row] = read_manifest(sink.getvalue(), SNAPSHOT_COLUMNS)
    assert (row["class_name"], row["visit"], row["label"]) == (None, None, "otter")


def test_counts_tell_labelled_from_unlabelled_and_classes_from_labels() -> None:
    state = [
        *images([b"a", b"b"]),
        *images([b"c"], label="lion"),
        *images([b"d"], label=None, label_kind=None),
    ]
    counts = count(state, ["otter", "otter", "lion", None])
    assert (counts.images, counts.labelled, counts.unlabelled, counts.classes) == (4, 3, 1, 2)
