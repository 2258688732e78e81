"""Shards of noise pictures in a real store, with the rows of a data set that names them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contracts.manifests import Buckets, DatasetRow
from contracts.values import Side, Source
from services.runtime.objectstore import ObjectStore


@dataclass
class FedShards:
    """``images`` dealt round to ``shards``, of 3 classes; every tenth validates. ``name`` names the shards."""

    store: ObjectStore
    name: str
    images: int = 12
    size_px: int = 16
    shards: int = 2
    seed: int = 0
    pixels: NDArray[np.uint8] = field(init=False)
    rows: list[DatasetRow] = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = self.drawn()
        pngs = [self.encoded(one) for one in self.pixels]
        rows: dict[int, DatasetRow] = {}
        for shard in range(self.shards):
            rows |= self._packed(f"{self.name}/{shard}.tar", range(shard, self.images, self.shards), pngs)
        self.rows = [rows[number] for number in range(self.images)]

    def drawn(self) -> NDArray[np.uint8]:
        """The pictures [N, S, S, 3]."""
        shape = (self.images, self.size_px, self.size_px, 3)
        return np.random.default_rng(self.seed).integers(0, 256, shape, dtype=np.uint8)

    def encoded(self, pixels: NDArray[np.uint8]) -> bytes:
        """An uncompressed PNG: noise would not get smaller."""
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG", compress_level=0)
        return held.getvalue()

    def size_bytes(self) -> int:
        """Of all shards."""
        return sum(self.store.stat(Buckets.SNAPSHOTS, key).size for key in {row.shard for row in self.rows})

    def _packed(self, key: str, numbers: range, pngs: list[bytes]) -> dict[int, DatasetRow]:
        held = io.BytesIO()
        offsets = {}
        with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for number in numbers:
                entry = tarfile.TarInfo(f"{number}.png")
                entry.size = len(pngs[number])
                offsets[number] = held.tell() + 512
                tar.addfile(entry, io.BytesIO(pngs[number]))
        self.store.put(Buckets.SNAPSHOTS, key, held.getvalue())
        return {number: self._row(number, key, offsets[number], pngs[number]) for number in numbers}

    def _row(self, number: int, key: str, offset: int, png: bytes) -> DatasetRow:
        image_id = hashlib.sha256(f"{self.name} {number}".encode()).hexdigest()
        label = f"class {number % 3}"
        return DatasetRow(
            image_id=image_id, label=label, class_name=label, class_index=number % 3,
            side=Side.VALIDATION if number % 10 == 9 else Side.TRAIN, rule="train", group=image_id,
            source=Source.REAL, benchmark=None, shard=key, offset=offset, size=len(png),
            sha256=hashlib.sha256(png).hexdigest(),
        )  # fmt: skip


class CountedStore(ObjectStore):
    """A store that keeps the sizes of what was read by range."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.read_bytes: list[int] = []

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """As ObjectStore."""
        data = super().read_range(bucket, key, offset, size)
        self.read_bytes.append(len(data))
        return data
