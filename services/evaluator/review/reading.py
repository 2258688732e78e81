"""Reads the queue of a scoring; pyarrow is imported when the first one is opened."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

PAIRS_TOLD = 100
KEPT = 2
"""Queues kept in memory: of 100,000 images one takes 30 MB."""


@dataclass(frozen=True)
class Part:
    """Which images of a queue: of a class, of a pair, on some sets, or of one suspicion."""

    class_name: str | None = None
    confused_with: str | None = None
    sets: tuple[str, ...] = ()
    suspicion: str | None = None


class Queue:
    """An open queue."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def counts(self) -> dict[str, int]:
        """Images by suspicion."""
        import pyarrow.compute as pc  # noqa: PLC0415 - the parent starts without it

        counted = pc.value_counts(self._table.column("suspicion")).to_pylist()
        return {one["values"]: one["counts"] for one in counted}

    def page(self, part: Part, limit: int, after: int = 0) -> tuple[list[Row], int | None]:
        """At most ``limit`` rows beyond rank ``after``, and the rank to go on from; None at the end."""
        import pyarrow.compute as pc  # noqa: PLC0415 - see counts

        found = self._table.filter((pc.field("rank") > after) & _wanted(part)).slice(0, limit + 1)
        rows: list[Row] = found.slice(0, limit).to_pylist()
        return rows, rows[-1]["rank"] if len(found) > limit else None

    def total(self, part: Part) -> int:
        """How many images the part has."""
        return len(self._table) if part == Part() else len(self._table.filter(_wanted(part)))

    def ranks(self, part: Part, image_ids: Sequence[str]) -> list[int]:
        """Ascending ranks of those of the images that the part has."""
        import pyarrow.compute as pc  # noqa: PLC0415 - see counts

        found = self._table.filter(pc.field("image_id").isin(list(image_ids)) & _wanted(part))
        ranks: list[int] = found.column("rank").to_pylist()
        return ranks

    def parts(self) -> Row:
        """What the queue can be narrowed to: its sets, and the pairs with most labels in doubt."""
        import pyarrow.compute as pc  # noqa: PLC0415 - see counts

        sets = pc.value_counts(self._table.column("set")).to_pylist()
        doubtful = self._table.filter(pc.field("suspicion") != "low-scoring")
        pairs = doubtful.group_by(["label", "other"]).aggregate([([], "count_all")])
        most = [("count_all", "descending"), ("label", "ascending"), ("other", "ascending")]
        return {
            "sets": [{"set": one["values"], "images": one["counts"]} for one in sets],
            "pairs": [
                {"label": one["label"], "other": one["other"], "images": one["count_all"]}
                for one in pairs.sort_by(most).slice(0, PAIRS_TOLD).to_pylist()
            ],
        }


class Queues:
    """The newest queues that were asked for."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._opened: OrderedDict[str, Queue] = OrderedDict()
        self._turn = asyncio.Lock()

    async def open(self, file: ObjectRef) -> Queue:
        """The queue in ``file``; raises as the object store does."""
        async with self._turn:
            opened = self._opened.get(file.sha256)
            if opened is None:
                opened = await asyncio.to_thread(self._read, file)
            self._opened[file.sha256] = opened
            self._opened.move_to_end(file.sha256)
            while len(self._opened) > KEPT:
                self._opened.popitem(last=False)
            return opened

    def _read(self, file: ObjectRef) -> Queue:
        import pyarrow as pa  # noqa: PLC0415 - see Queue.counts
        import pyarrow.parquet as pq  # noqa: PLC0415

        return Queue(pq.read_table(pa.BufferReader(self._store.get(file))))


def _wanted(part: Part) -> Any:
    """The part as a condition on rows."""
    import pyarrow.compute as pc  # noqa: PLC0415 - see Queue.counts

    wanted = pc.scalar(True)
    if part.confused_with is not None:
        one, other = part.class_name, part.confused_with
        wanted &= _mixed(one, other) | _mixed(other, one)
    elif part.class_name is not None:
        wanted &= pc.field("label") == part.class_name
    if part.sets:
        wanted &= pc.field("set").isin(list(part.sets))
    if part.suspicion is not None:
        wanted &= pc.field("suspicion") == part.suspicion
    return wanted


def _mixed(label: str | None, other: str | None) -> Any:
    import pyarrow.compute as pc  # noqa: PLC0415 - see Queue.counts

    return (pc.field("label") == label) & (pc.field("other") == other)
