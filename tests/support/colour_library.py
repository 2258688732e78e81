"""A small library of one-coloured images, packed, with the messages that tell of it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from contracts.events import ModelExported, ModelTrained, SnapshotPacked
from contracts.manifests import DATASET_COLUMNS, SNAPSHOT_COLUMNS
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectStore
from tests.support.colour_model import colour_model

NOW = datetime(2026, 11, 21, tzinfo=UTC)
COLOURS = ("red", "green", "blue")
SIZE_PX = 8


@dataclass
class ColourLibrary:
    """Add images, then ask for the messages; ``name`` keeps tests on one server apart."""

    store: ObjectStore
    name: str
    shards: int = 2
    pixels: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _pngs: dict[str, bytes] = field(default_factory=dict)

    def add(self, colour: tuple[int, int, int], **columns: Any) -> str:
        """An image of that colour, told apart from its equals by one pixel's shade; returns its id."""
        pixels = np.full((SIZE_PX, SIZE_PX, 3), colour, np.uint8)
        number = len(self.rows)
        pixels[0, 0] = (number % 256, number // 256 % 256, number // 65536)
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "png")
        image_id = hashlib.sha256(held.getvalue()).hexdigest()
        self.pixels[image_id], self._pngs[image_id] = pixels, held.getvalue()
        self.rows[image_id] = {
            "image_id": image_id, "label": None, "label_kind": None, "source": "real", "guest": None,
            "group": image_id, "near_duplicate_of": None, "benchmark": None, "taxonomy_version": 1,
            "class_name": None, "class_index": -1, "side": "out", "rule": "test", "sha256": image_id,
        } | columns  # fmt: skip
        return image_id

    def add_class(self, index: int, side: str, count: int, benchmark: str | None = None) -> list[str]:
        """Images of pure colour ``index`` labelled as such, on one side."""
        colour = tuple(255 if channel == index else 0 for channel in range(3))
        columns = {
            "label": COLOURS[index],
            "label_kind": "class",
            "class_name": COLOURS[index],
            "class_index": index,
        }
        return [self.add(colour, side=side, benchmark=benchmark, **columns) for _ in range(count)]  # type: ignore[arg-type]

    def trained(self, version: str = "001", model: bytes | None = None, **change: Any) -> ModelTrained:
        """The event of a model trained on this library."""
        return ModelTrained.model_validate({
            "run_id": f"run-{version}", "model_version": version, "snapshot_id": self.name, "network": "colours",
            "image_size_px": SIZE_PX, "classes": COLOURS, "model": self._model(model), "dataset": self._manifest(DATASET_COLUMNS),
            "history": self._put("models", "history.json", b"{}"),
            "images": {"train": 0, "validation": 0, "test": 0, "benchmark": 0, "out": 0},
            "epochs": 1, "best_epoch": 1, "trained_at": NOW,
        } | change)  # fmt: skip

    def packed(self, **change: Any) -> SnapshotPacked:
        """The event of this library's snapshot."""
        return SnapshotPacked.model_validate({
            "request_id": f"pack-{self.name}", "snapshot_id": self.name, "manifest": self._manifest(SNAPSHOT_COLUMNS),
            "images": len(self.rows), "labelled": 0, "unlabelled": 0, "classes": 3, "shards": self.shards,
            "size_bytes": 1, "image_size_px": SIZE_PX, "packed_at": NOW,
        } | change)  # fmt: skip

    def exported(self, version: str = "001", model: bytes | None = None, **change: Any) -> ModelExported:
        """The event of an exported model."""
        return ModelExported.model_validate({
            "request_id": f"export-{version}", "model_version": version, "snapshot_id": self.name,
            "manifest": self._put("models", "export.json", b"{}"), "model": self._model(model),
            "image_size_px": SIZE_PX, "classes": COLOURS, "exported_at": NOW,
        } | change)  # fmt: skip

    def _model(self, model: bytes | None) -> ObjectRef:
        return self._put(
            "models", "model.keras", colour_model(SIZE_PX, len(COLOURS)) if model is None else model
        )

    def _manifest(self, columns: dict[str, str]) -> ObjectRef:
        rows = self._pack()
        schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
        table = pa.Table.from_pylist(
            [{name: row.get(name) for name in columns} for row in rows], schema=schema
        )
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return self._put("snapshots", "manifest.parquet", sink.getvalue())

    def _pack(self) -> list[dict[str, Any]]:
        """Tar shards, images dealt round so that manifest order is not shard order."""
        ordered = sorted(self.rows)
        for shard in range(self.shards):
            self._pack_shard(f"{self.name}/shard-{shard}.tar", ordered[shard :: self.shards])
        return [self.rows[image_id] for image_id in ordered]

    def _pack_shard(self, key: str, members: Sequence[str]) -> None:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as tar:
            for image_id in members:
                entry = tarfile.TarInfo(f"{image_id}.png")
                entry.size = len(self._pngs[image_id])
                tar.addfile(entry, io.BytesIO(self._pngs[image_id]))
        held.seek(0)
        with tarfile.open(fileobj=held) as tar:
            for entry in tar:
                self.rows[entry.name.removesuffix(".png")] |= {
                    "shard": key,
                    "offset": entry.offset_data,
                    "size": entry.size,
                }
        self.store.put("snapshots", key, held.getvalue())

    def _put(self, bucket: str, name: str, data: bytes) -> ObjectRef:
        return self.store.put(bucket, f"{self.name}/{hashlib.sha256(data).hexdigest()[:12]}-{name}", data)
