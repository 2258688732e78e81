"""Images out of a snapshot's tar shards: few large reads, every member verified by its digest.

Needs pyarrow, which is imported only when a manifest is read: most services have none.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from contracts.manifests import Buckets

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

SPAN_BYTES = 16 * 2**20
"""One read: big enough that latency hides behind transfer, small enough that two fit anywhere."""
GAP_BYTES = 256 * 2**10
"""Unwanted bytes read through rather than skipped: about what a round trip costs."""
LATER_COLUMNS = frozenset({"class_name", "visit", "unit"})
"""Columns that the first manifests did not have; there they are read as empty."""

SPANS_AHEAD = 2
"""Two, so that a processor verifies digests while another waits for the store."""


class ManifestDamaged(Exception):
    """The manifest is no Parquet file, lacks a column, or holds impossible values."""


class MemberDamaged(Exception):
    """The bytes in the shard are not the image that the manifest names."""


class RangeReader(Protocol):
    """The part of ObjectStore that is needed here."""

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, unverified."""


@dataclass(frozen=True)
class Span:
    """Neighbouring members of one shard that are read together."""

    shard: str
    offset: int
    size: int
    rows: tuple[Row, ...]


def read_manifest(data: bytes, columns: Mapping[str, str]) -> list[Row]:
    """Rows of a Parquet manifest, as ``read_columns`` gives their columns.

    Raises:
        ManifestDamaged: as ``read_columns``.
    """
    rows: list[Row] = read_columns(data, columns).to_pylist()
    return rows


def read_columns(data: bytes, columns: Mapping[str, str]) -> pa.Table:
    """A Parquet manifest, its rows in its order, with exactly ``columns`` (name -> Arrow type).

    Further columns, which a newer writer may add, are left out; what an older one could not write
    (LATER_COLUMNS) is None.

    Raises:
        ManifestDamaged: not Parquet, a column is missing or of another type, or a place is
            outside any shard.
    """
    import pyarrow as pa  # noqa: PLC0415 - most services have none
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise ManifestDamaged(f"the manifest ({len(data)} bytes) is not readable Parquet: {error}") from error
    lacking = [name for name in columns if name not in table.column_names]
    missing = [name for name in lacking if name not in LATER_COLUMNS]
    if missing:
        raise ManifestDamaged(f"the manifest lacks the columns {missing}; it has {table.column_names}")
    for name in lacking:
        table = table.append_column(name, pa.nulls(len(table)))
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    try:
        table = table.select(list(columns)).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise ManifestDamaged(f"a column of the manifest is not of {dict(columns)}: {error}") from error
    _check_places(table)
    return table


def _check_places(table: pa.Table) -> None:
    columns = (table.column(name).to_pylist() for name in ("shard", "offset", "size"))
    for number, (shard, offset, size) in enumerate(zip(*columns, strict=True)):
        if not shard or offset is None or offset < 0 or (size or 0) < 1:
            raise ManifestDamaged(
                f"row {number} of the manifest names no place in a shard: "
                f"shard {shard!r}, offset {offset}, size {size}"
            )


def plan_spans(rows: Iterable[Row], span_bytes: int = SPAN_BYTES, gap_bytes: int = GAP_BYTES) -> list[Span]:
    """Group rows into reads: shard after shard, by offset, no byte twice, gaps up to ``gap_bytes``."""
    spans: list[Span] = []
    members: list[Row] = []
    end = 0
    for row in sorted(rows, key=lambda r: (r["shard"], r["offset"])):
        stop = row["offset"] + row["size"]
        joins = (
            members
            and members[0]["shard"] == row["shard"]
            and row["offset"] - end <= gap_bytes
            and stop - members[0]["offset"] <= span_bytes
        )
        if members and not joins:
            spans.append(_span(members, end))
            members = []
        end = max(end, stop) if members else stop
        members.append(row)
    if members:
        spans.append(_span(members, end))
    return spans


def fetch_images(
    store: RangeReader, rows: Sequence[Row], bucket: str = Buckets.SNAPSHOTS
) -> Iterator[tuple[Row, bytes]]:
    """Each row once with its PNG bytes, in the order they lie in the shards (not in ``rows``' order).

    The next ``SPANS_AHEAD`` reads run, and are verified, while the caller works on the last one;
    memory holds these and two more: the caller's, and one that is being taken apart.

    Raises:
        MemberDamaged: digest or length differ from the manifest.
    """
    spans = iter(plan_spans(rows))
    with ThreadPoolExecutor(SPANS_AHEAD, thread_name_prefix="shards") as ahead:
        pending = deque(ahead.submit(_read, store, bucket, span) for span in islice(spans, SPANS_AHEAD))
        while pending:
            members = pending.popleft().result()
            pending.extend(ahead.submit(_read, store, bucket, span) for span in islice(spans, 1))
            yield from members


def _read(store: RangeReader, bucket: str, span: Span) -> list[tuple[Row, bytes]]:
    data = store.read_range(bucket, span.shard, span.offset, span.size)
    return [(row, _member(span, row, data)) for row in span.rows]


def _span(members: Sequence[Row], end: int) -> Span:
    first = members[0]
    return Span(first["shard"], first["offset"], end - first["offset"], tuple(members))


def _member(span: Span, row: Row, data: bytes) -> bytes:
    start = row["offset"] - span.offset
    member = data[start : start + row["size"]]
    if hashlib.sha256(member).hexdigest() != row["sha256"]:
        raise MemberDamaged(
            f"image {row['image_id']} at offset {row['offset']} of shard {span.shard} "
            f"({len(member)} of {row['size']} bytes) has another digest than the manifest's "
            f"{row['sha256']}; pack the snapshot again"
        )
    return member
