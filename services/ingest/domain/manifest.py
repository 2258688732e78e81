"""The Parquet manifest of a snapshot: the same rows give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from contracts.manifests import SNAPSHOT_COLUMNS, SnapshotRow
from services.ingest.domain.shards import Shard
from services.ingest.domain.state import TAXONOMY_VERSION

ROW_GROUP_ROWS = 100_000  # one row group for most libraries; a fixed number keeps the bytes stable


def rows(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """One row per image, in the order of the shards."""
    return [
        SnapshotRow(
            **place.model_dump(),
            image_id=image.image_id,
            label=image.label,
            label_kind=image.label_kind,
            source=image.source,
            guest=image.guest,
            group=image.group,
            near_duplicate_of=image.near_duplicate_of,
            benchmark=image.benchmark,
            taxonomy_version=TAXONOMY_VERSION,
        ).model_dump(mode="json")
        for shard in shards
        for image, place in zip(shard.members, shard.places, strict=True)
    ]


def parquet(manifest_rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as a Parquet file with exactly SNAPSHOT_COLUMNS."""
    # 60 MB of memory that an ingest which only takes uploads never needs.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SNAPSHOT_COLUMNS.items()])
    sink = io.BytesIO()
    table = pa.Table.from_pylist(list(manifest_rows), schema=schema)
    pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()
