"""Parquet manifests of snapshots (read) and data sets (written, the same rows as the same bytes)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.manifests import DATASET_COLUMNS, SNAPSHOT_COLUMNS, DatasetRow, SnapshotRow
from contracts.taxonomy import Taxonomy
from services.runtime.shards import ManifestDamaged, read_manifest

ROWS_PER_GROUP = 20_000
"""Fixed, so that the bytes do not follow a library's default; about 4 MB a group."""


def read_snapshot(data: bytes) -> list[SnapshotRow]:
    """Rows of a snapshot manifest.

    Raises:
        ManifestDamaged: it is not one.
    """
    return [SnapshotRow.model_validate(row) for row in read_manifest(data, SNAPSHOT_COLUMNS)]


def read_taxonomy(data: bytes) -> Taxonomy:
    """The document that came with a snapshot.

    Raises:
        ManifestDamaged: it is not one.
    """
    try:
        return Taxonomy.model_validate_json(data)
    except ValueError as error:
        raise ManifestDamaged(
            f"the snapshot's taxonomy ({len(data)} bytes) is not readable: {error}"
        ) from error


def read_dataset(data: bytes) -> list[DatasetRow]:
    """Rows of a data set manifest.

    Raises:
        ManifestDamaged: it is not one.
    """
    return [DatasetRow.model_validate(row) for row in read_manifest(data, DATASET_COLUMNS)]


def write_dataset(rows: Sequence[DatasetRow]) -> bytes:
    """Parquet bytes; ``rows`` are sorted by ``image_id`` already."""
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in DATASET_COLUMNS.items()])
    columns = {name: [_plain(getattr(row, name)) for row in rows] for name in DATASET_COLUMNS}
    table = pa.table(columns, schema=schema)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP)
    return sink.getvalue()


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value
