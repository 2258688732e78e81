"""Where the images of a data set lie, column by column: some 120 bytes an image, and no row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.manifests import DatasetRow
from contracts.values import Side
from services.trainer.domain.table import Table

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """N images: ``sizes`` [N] bytes from ``offsets`` [N] of the shard ``shards[shard_of[n]]``."""

    shards: tuple[str, ...]
    shard_of: Numbers
    offsets: Numbers
    sizes: Numbers
    digests: NDArray[np.uint8]
    """SHA-256 of the bytes [N, 32]."""
    ids: NDArray[np.uint8]
    """Image ids [N, 32]."""
    classes: Numbers
    sides: tuple[Side, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def image_id(self, number: int) -> str:
        """As the manifest writes it."""
        return bytes(self.ids[number]).hex()

    def on(self, side: Side) -> Numbers:
        """The numbers of the images of that side, in order."""
        return np.array([number for number, one in enumerate(self.sides) if one is side], np.int64)

    def by_shard(self) -> Iterator[tuple[str, Numbers]]:
        """Each shard with the numbers of its images."""
        for at, shard in enumerate(self.shards):
            yield shard, np.flatnonzero(self.shard_of == at)


def places_of(rows: Sequence[DatasetRow], sides: Collection[Side] = tuple(Side)) -> Places:
    """Places of the rows on these sides, in their order."""
    table = Table.of(DatasetRow, rows)
    told = table.column("side")
    wanted = [number for number, side in enumerate(told) if side in sides]

    def column(name: str) -> list[Any]:
        values = table.column(name)
        return [values[number] for number in wanted]

    names = column("shard")
    shards = tuple(sorted(set(names)))
    at = {shard: number for number, shard in enumerate(shards)}
    return Places(
        shards,
        np.array([at[name] for name in names], np.int64),
        np.array(column("offset"), np.int64),
        np.array(column("size"), np.int64),
        _digests(column("sha256")),
        _digests(column("image_id")),
        np.array(column("class_index"), np.int64),
        tuple(Side(told[number]) for number in wanted),
    )


def _digests(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(len(texts), 32)
