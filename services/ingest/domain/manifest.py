"""The manifest of a snapshot: the same state gives the same rows, and they the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.manifests import SNAPSHOT_COLUMNS
from contracts.values import LabelKind
from services.ingest.domain.shards import Shard

MANIFEST_VERSION = 2  # raise it when the same state is to give another manifest
ROW_GROUP_ROWS = 100_000  # one row group for most libraries; a fixed number keeps the bytes stable

Columns = dict[str, list[Any]]
"""SNAPSHOT_COLUMNS by name, one value per image, sorted by image id."""


def columns(shards: Sequence[Shard], class_of: Callable[[str], str], taxonomy_version: int) -> Columns:
    """One row per image; ``class_of`` tells the class that a label is trained as in that version."""
    placed = [
        (image, shard.key, offset)
        for shard in shards
        for image, offset in zip(shard.members, shard.offsets, strict=True)
    ]
    placed.sort(key=lambda place: place[0].image_id)
    images = [image for image, _, _ in placed]
    labels = [image.label if image.label_kind == LabelKind.CLASS else None for image in images]
    classes = {label: None if label is None else class_of(label) for label in set(labels)}
    return {
        "image_id": [image.image_id for image in images],
        "label": [image.label for image in images],
        "label_kind": [None if image.label_kind is None else image.label_kind.value for image in images],
        "source": [image.source.value for image in images],
        "guest": [image.guest for image in images],
        "group": [image.group for image in images],
        "near_duplicate_of": [image.near_duplicate_of for image in images],
        "benchmark": [image.benchmark for image in images],
        "taxonomy_version": [taxonomy_version] * len(images),
        "class_name": [classes[label] for label in labels],
        "visit": [image.visit for image in images],
        "shard": [key for _, key, _ in placed],
        "offset": [offset for _, _, offset in placed],
        "size": [image.normalised.size for image in images],
        "sha256": [image.normalised.sha256 for image in images],
    }


def snapshot_id(rows: Mapping[str, list[Any]], taxonomy_version: int, image_size_px: int) -> str:
    """First 16 hex digits of the SHA-256 of all that the manifest says."""
    digest = hashlib.sha256(f"{MANIFEST_VERSION} {taxonomy_version} {image_size_px}\n".encode())
    for name in SNAPSHOT_COLUMNS:
        digest.update(json.dumps([name, rows[name]]).encode() + b"\n")
    return digest.hexdigest()[:16]


def parquet(rows: Mapping[str, list[Any]]) -> bytes:
    """The rows as a Parquet file with exactly SNAPSHOT_COLUMNS."""
    # 60 MB of memory that an ingest which only takes uploads never needs.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SNAPSHOT_COLUMNS.items()])
    table, sink = pa.table(dict(rows), schema=schema), io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()
