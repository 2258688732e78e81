"""Finds the picture of an image as a model sees it: in its own data set, else in a snapshot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from contracts.manifests import DATASET_COLUMNS
from contracts.values import ObjectRef
from services.evaluator.explaining.questions import Task
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import Row, fetch_images, read_columns

PLACE = {name: DATASET_COLUMNS[name] for name in ("image_id", "shard", "offset", "size", "sha256")}
KEPT = 3
"""Manifests kept in memory: the places of 100,000 images take 25 MB."""


class Pictures:
    """Pictures of the store, and the last manifests that were looked into."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()

    def png(self, task: Task) -> bytes | None:
        """The file, its digest verified; None when the image is in none of the manifests.

        Raises:
            ManifestDamaged, MemberDamaged, ObjectMissing, ObjectDamaged: the store's copy is no good.
        """
        for row in self._places(task):
            for _, png in fetch_images(self._store, [row]):
                return png
        return None

    def _places(self, task: Task) -> Iterator[Row]:
        for manifest in dict.fromkeys((task.model.dataset, *task.manifests)):
            table = self._open(manifest)
            yield from table.filter(pc.field("image_id") == task.question.image_id).slice(0, 1).to_pylist()

    def _open(self, manifest: ObjectRef) -> pa.Table:
        table = self._tables.get(manifest.sha256)
        if table is None:
            table = read_columns(self._store.get(manifest), PLACE)
        self._tables[manifest.sha256] = table
        self._tables.move_to_end(manifest.sha256)
        while len(self._tables) > KEPT:
            self._tables.popitem(last=False)
        return table
