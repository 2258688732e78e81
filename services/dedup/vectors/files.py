"""Files of similarity vectors on this machine's disk: a cache of the object store that can be thrown away."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.manifests import VECTOR_COLUMNS
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectStore

LENGTH_TOLERANCE = 1e-3
"""Of a vector that should have length 1: what float32 leaves, and more."""
ROWS_AT_ONCE = 8192
IDS, ROWS = "image_ids.npy", "rows.npy"


class NotVectors(Exception):
    """The object is no file of vectors as contracts/manifests.py says; trying again cannot help."""


@dataclass(frozen=True)
class Vectors:
    """``image_ids`` (n,) of 64 bytes, ascending; ``rows`` (n, dimensions) of half floats, length 1.

    Half floats move a cosine by less than 0.0002 and take 2 bytes a dimension (2,560 an image of 1,280).
    They stay on disk, mapped into memory; the system keeps of them what fits.
    """

    image_ids: NDArray[np.bytes_]
    rows: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.image_ids)


class VectorCache:
    """One folder per file, named by its digest; one that is there is complete."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def open(self, ref: ObjectRef) -> Vectors:
        """The file's vectors, fetched and verified if they are not on disk yet.

        Raises:
            ObjectMissing, ObjectDamaged: the store does not have the bytes (yet).
            NotVectors: they are no such file.
        """
        place = self._folder / ref.sha256
        if not place.exists():
            self._fetch(ref, place)
        image_ids = np.load(place / IDS)
        # A map of nothing is an error of the system.
        rows = np.load(place / ROWS, mmap_mode="r" if len(image_ids) else None)
        return Vectors(image_ids, rows)

    def keep_only(self, refs: Collection[ObjectRef]) -> None:
        """Drop every other file, and what a killed process left half made."""
        kept = {ref.sha256 for ref in refs}
        for entry in self._folder.iterdir() if self._folder.exists() else ():
            if entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    def _fetch(self, ref: ObjectRef, place: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=self._folder, prefix="."))
        try:
            self._store.get_file(ref, making / "vectors.parquet")
            _convert(making / "vectors.parquet", making, f"{ref.bucket}/{ref.key}")
            (making / "vectors.parquet").unlink()
            try:
                making.rename(place)
            except OSError:
                if not place.exists():
                    raise
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _convert(parquet: Path, folder: Path, name: str) -> None:
    """Write both arrays; what does not fit the contract is told with the object's ``name``."""
    try:
        with pq.ParquetFile(parquet) as file:
            dimensions = _dimensions(file.schema_arrow, name)
            count = file.metadata.num_rows
            rows = np.lib.format.open_memmap(
                folder / ROWS, mode="w+", dtype=np.float16, shape=(count, dimensions)
            )
            image_ids = np.empty(count, "S64")
            done = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(VECTOR_COLUMNS)):
                part = slice(done, done + batch.num_rows)
                image_ids[part] = batch.column("image_id").to_numpy(zero_copy_only=False)
                rows[part] = _checked(batch.column("vector"), dimensions, name)
                done = part.stop
    except pa.ArrowException as error:
        raise NotVectors(f"{name} is no Parquet file of vectors ({error}); compute them again") from error
    if (image_ids[1:] <= image_ids[:-1]).any():
        raise NotVectors(f"{name} is not sorted by image_id, each once; compute it again")
    rows.flush()
    np.save(folder / IDS, image_ids)
    for written in (IDS, ROWS):  # else the folder may outlive a power loss and its files not
        with (folder / written).open("rb") as handle:
            os.fsync(handle.fileno())


def _dimensions(schema: pa.Schema, name: str) -> int:
    for column in VECTOR_COLUMNS:
        if column not in schema.names:
            raise NotVectors(f"{name} has no column {column!r} (contracts/manifests.py, VECTOR_COLUMNS)")
    kind = schema.field("vector").type
    if not pa.types.is_fixed_size_list(kind) or kind.value_type != pa.float32():
        raise NotVectors(f"{name}: column vector is {kind}, not a fixed_size_list of float")
    return int(kind.list_size)


def _checked(column: pa.FixedSizeListArray, dimensions: int, name: str) -> NDArray[np.float32]:
    if column.null_count or column.flatten().null_count:
        raise NotVectors(f"{name} has images without a vector; compute it again")
    values: NDArray[np.float32] = column.flatten().to_numpy().reshape(-1, dimensions)
    lengths = np.linalg.norm(values, axis=1)
    if not (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all():
        raise NotVectors(f"{name} has vectors that are not of length 1; the encoder has to divide by it")
    return values
