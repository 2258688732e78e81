"""Reading images out of shards: few reads, each byte at most once, every member verified."""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.manifests import DATASET_COLUMNS
from services.runtime import shards
from services.runtime.shards import ManifestDamaged, MemberDamaged, fetch_images, plan_spans, read_manifest


class Shelf:
    """Shards in memory that count their reads."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.reads: list[tuple[str, int, int]] = []

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        assert bucket == "snapshots"
        self.reads.append((key, offset, size))
        return self.contents[key][offset : offset + size]


def place(shard: str, offset: int, data: bytes, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"image_id": digest, "shard": shard, "offset": offset, "size": len(data), "sha256": digest} | more


def packed(sizes: list[int], gaps: list[int]) -> tuple[bytes, list[dict[str, Any]]]:
    shard, rows = bytearray(), []
    for number, (size, gap) in enumerate(zip(sizes, gaps, strict=True)):
        shard += b"\0" * gap
        data = hashlib.sha256(str(number).encode()).digest() * (size // 32 + 1)
        rows.append(place("one", len(shard), data[:size]))
        shard += data[:size]
    return bytes(shard), rows


members = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 40)), min_size=1, max_size=30)


@given(members, st.randoms(use_true_random=False), st.integers(1, 200), st.integers(0, 50))
def test_each_wanted_member_comes_once_and_no_byte_is_read_twice(
    sizes: list[tuple[int, int]], random: Any, span_bytes: int, gap_bytes: int
) -> None:
    data, rows = packed([size for size, _ in sizes], [gap for _, gap in sizes])
    wanted = random.sample(rows, random.randint(0, len(rows)))
    shelf = Shelf(one=data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "plan_spans", lambda some: plan_spans(some, span_bytes, gap_bytes))
        got = list(fetch_images(shelf, wanted))
    assert [row["offset"] for row, _ in got] == sorted(row["offset"] for row in wanted)
    assert all(hashlib.sha256(png).hexdigest() == row["sha256"] for row, png in got)
    reads = sorted((offset, offset + size) for _, offset, size in shelf.reads)
    assert all(start >= end for (_, end), (start, _) in pairwise(reads))


def test_a_whole_shard_of_small_images_is_one_read() -> None:
    data, rows = packed([200] * 100, [512] * 100)
    shelf = Shelf(one=data)
    assert len(list(fetch_images(shelf, rows))) == 100
    assert len(shelf.reads) == 1


def test_shards_are_read_one_after_the_other() -> None:
    shelf = Shelf(a=b"ape", b="bär".encode())
    rows = [place("b", 0, "bär".encode()), place("a", 0, b"ape")]
    assert [png for _, png in fetch_images(shelf, rows)] == [b"ape", "bär".encode()]


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"offset": 1}, {"size": 2}, {"size": 400}])
def test_a_member_that_is_not_the_named_image_is_refused_with_its_place(change: dict[str, Any]) -> None:
    shelf = Shelf(one=b"otter and more")
    with pytest.raises(MemberDamaged, match=r"shard one .* pack the snapshot again"):
        list(fetch_images(shelf, [place("one", 0, b"otter") | change]))


def parquet(rows: list[dict[str, Any]], columns: dict[str, str]) -> bytes:
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


def row(**change: Any) -> dict[str, Any]:
    return {
        "image_id": "0" * 64,
        "label": None,
        "class_name": "okapi",
        "class_index": 0,
        "side": "train",
        "rule": "r",
        "group": "g",
        "source": "real",
        "benchmark": None,
        "shard": "s",
        "offset": 0,
        "size": 1,
        "sha256": "0" * 64,
        "unit": None,
    } | change


def test_a_manifest_is_read_in_its_order_and_further_columns_are_left_out() -> None:
    rows = [row(image_id="b"), row(image_id="a", label="<b>")]
    more = [one | {"added_later": 1} for one in rows]
    assert read_manifest(parquet(more, {**DATASET_COLUMNS, "added_later": "int64"}), DATASET_COLUMNS) == rows


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1 but no Parquet",
        parquet([row()], {name: kind for name, kind in DATASET_COLUMNS.items() if name != "sha256"}),
        parquet([row(size="many")], DATASET_COLUMNS | {"size": "string"}),
        parquet([row(offset=-1)], DATASET_COLUMNS),
        parquet([row(size=0)], DATASET_COLUMNS),
        parquet([row(shard=None)], DATASET_COLUMNS),
    ],
)
def test_a_damaged_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestDamaged):
        read_manifest(data, DATASET_COLUMNS)


def test_the_module_imports_no_pyarrow_by_itself() -> None:
    import subprocess
    import sys

    code = "import sys, services.runtime.shards; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
