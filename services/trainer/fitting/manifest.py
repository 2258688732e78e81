"""Parquet manifests of snapshots (read) and data sets (written, the same rows as the same bytes)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.manifests import DATASET_COLUMNS, SNAPSHOT_COLUMNS, DatasetRow, SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.values import LabelKind, Side, Source, Value
from services.runtime.shards import ManifestDamaged, read_columns
from services.trainer.domain.table import Table

RowT = TypeVar("RowT", bound=Value)

ROWS_PER_GROUP = 20_000
"""Fixed, so that the bytes do not follow a library's default; about 4 MB a group."""
ENUMS: dict[str, type[StrEnum]] = {"label_kind": LabelKind, "source": Source, "side": Side}
DIGESTS = ("image_id", "sha256", "near_duplicate_of")
DIGEST = "^[0-9a-f]{64}$"
MAY_BE_EMPTY = frozenset(
    {"label", "label_kind", "guest", "near_duplicate_of", "benchmark", "class_name", "visit", "unit"}
)


class _Columns(Mapping[str, Sequence[Any]]):
    """Columns of an Arrow table as lists, made when first asked for: ancestors are asked for few."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._lists: dict[str, Sequence[Any]] = {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self._lists:
            values = self._table.column(name).to_pylist()
            if (enum := ENUMS.get(name)) is not None:
                members: dict[str | None, StrEnum | None] = {None: None}
                members.update((member.value, member) for member in enum)
                values = [members[value] for value in values]
            self._lists[name] = values
        return self._lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)


def read_snapshot(data: bytes) -> Table[SnapshotRow]:
    """Rows of a snapshot manifest.

    Raises:
        ManifestDamaged: it is not one.
    """
    return _read(SnapshotRow, data, SNAPSHOT_COLUMNS)


def read_dataset(data: bytes) -> Table[DatasetRow]:
    """Rows of a data set manifest.

    Raises:
        ManifestDamaged: it is not one.
    """
    return _read(DatasetRow, data, DATASET_COLUMNS)


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


def _read(kind: type[RowT], data: bytes, columns: Mapping[str, str]) -> Table[RowT]:
    table = read_columns(data, columns)
    for name in columns:
        _check(name, table.column(name))
    return Table(kind, _Columns(table))


def _check(name: str, column: pa.ChunkedArray) -> None:
    """What the row's model says of a field, of all rows at once.

    Raises:
        ManifestDamaged: a value is impossible.
    """
    allowed = pc.fill_null(pc.is_valid(column), fill_value=False)
    if name in MAY_BE_EMPTY:
        allowed = pc.or_(allowed, pc.is_null(column))
    if name in DIGESTS:
        allowed = pc.and_(allowed, pc.fill_null(pc.match_substring_regex(column, DIGEST), fill_value=True))
    if name in ENUMS:
        names = pa.array([member.value for member in ENUMS[name]])
        allowed = pc.and_(allowed, pc.or_(pc.is_in(column, value_set=names), pc.is_null(column)))
    if not pc.all(allowed, min_count=0).as_py():
        row = pc.index(allowed, value=False).as_py()
        raise ManifestDamaged(f"row {row} of the manifest has the {name} {column[row].as_py()!r}")


def write_dataset(rows: Sequence[DatasetRow]) -> bytes:
    """Parquet bytes; ``rows`` are sorted by ``image_id`` already."""
    table = Table.of(DatasetRow, rows)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in DATASET_COLUMNS.items()])
    arrays = [
        pa.array(_plain(name, table.column(name)), field.type)
        for name, field in zip(schema.names, schema, strict=True)
    ]
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema), sink,
        compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP,
    )  # fmt: skip
    return sink.getvalue()


def _plain(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if name not in ENUMS:
        return values
    return [None if value is None else str(value) for value in values]
