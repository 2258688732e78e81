"""Parquet manifest: ``manifest.parquet`` beside its pictures; times in UTC, tags as a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.interchange.pictures import row_of
from services.ops.interchange.records import COLUMNS, Record, Row, cells_of

FILE = "manifest.parquet"
BATCH_ROWS = 10_000


def read(path: Path, title: str) -> Iterator[Row]:
    """The table's rows, in order; further columns are not even read.

    Raises:
        OpsError: it is no Parquet file or has no ``file`` column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as table:
            present = [name for name in COLUMNS if name in table.schema_arrow.names]
            if "file" not in present:
                raise OpsError(f"{path} has no column 'file': name some of {', '.join(COLUMNS)}")
            for batch in table.iter_batches(BATCH_ROWS, columns=present):
                for cells in _in_microseconds(batch).to_pylist():
                    number += 1
                    yield row_of(f"{title} row {number}", path.parent, cells)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OpsError(f"{path} is not readable Parquet ({' '.join(str(error).split())[:200]})") from error


def _in_microseconds(batch: Any) -> Any:
    """Times cut to microseconds: data frames write nanoseconds, which Python has no time for."""
    import pyarrow as pa

    columns = [
        column.cast(pa.timestamp("us", column.type.tz), safe=False)
        if pa.types.is_timestamp(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write ``manifest.parquet`` into ``folder``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"tags": pa.list_(pa.string()), "taken_at": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    rows = [{**cells_of(record), "taken_at": record.taken_at} for record in records]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / FILE, compression="zstd")
