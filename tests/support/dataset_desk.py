"""``menagerie dataset`` beside the real HTTP sides of ingest and trainer; models are registered, not fitted."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from contracts.commands import RequestTraining
from contracts.events import ModelTrained, SnapshotPacked
from contracts.manifests import SNAPSHOT_COLUMNS, Buckets, SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.training import DatasetRules
from contracts.values import ObjectRef
from services.ops.commands import session
from services.runtime.database import Database
from services.trainer import store as tables
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.summary import classes_of, counts_of
from services.trainer.fitting.datasets import Packed, fetch_seen, fetch_snapshot
from services.trainer.fitting.manifest import write_dataset
from services.trainer.http.application import create_http
from tests.support.browser import serving
from tests.support.ingest_house import AT, MemoryStore
from tests.support.library_desk import TOKEN, LibraryDesk, library_desk


def snapshot_manifest(rows: Sequence[SnapshotRow]) -> bytes:
    """As ingest writes one."""
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SNAPSHOT_COLUMNS.items()])
    plain = [row.model_dump(mode="json") for row in sorted(rows, key=lambda row: row.image_id)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(plain, schema=schema), sink)
    return sink.getvalue()


class DatasetDesk:
    """Snapshots and models of the trainer, and the command line that asks about them."""

    def __init__(self, desk: LibraryDesk, database: Database) -> None:
        self.desk = desk
        self.database = database
        store = desk.house.store
        assert isinstance(store, MemoryStore)
        self.store = store

    def ask(self, *arguments: str) -> Any:
        """The JSON of ``menagerie dataset ...``."""
        return self.desk.ask("dataset", *arguments)

    def pack(
        self, name: str, rows: Sequence[SnapshotRow], hours: int = 0, taxonomy: Taxonomy | None = None
    ) -> SnapshotPacked:
        """A snapshot of these rows that the trainer has heard of."""
        packed = SnapshotPacked(
            request_id=name, snapshot_id=name, manifest=self._put(f"{name}.parquet", snapshot_manifest(rows)),
            images=len(rows), labelled=0, unlabelled=0, classes=0, shards=1, size_bytes=1, image_size_px=8,
            packed_at=AT + timedelta(hours=hours), taxonomy_version=taxonomy.version if taxonomy else 0,
            taxonomy=taxonomy and self._put(f"{name}.json", taxonomy.model_dump_json().encode()),
        )  # fmt: skip
        asyncio.run(self.database.run(lambda unit: tables.record_snapshot(unit, packed)))
        return packed

    def train(self, packed: SnapshotPacked, rules: DatasetRules, base: str = "newest", **asked: Any) -> str:
        """Register a model as a run on the snapshot would; its version."""
        run_id = f"run-{packed.snapshot_id}-{base}"
        request = RequestTraining(
            run_id=run_id, snapshot_id=packed.snapshot_id, base=base, rules=rules, by="ann", requested_at=AT, **asked
        )  # fmt: skip
        _, start = asyncio.run(self.database.run(lambda unit: tables.begin_run(unit, request, AT)))
        line = asyncio.run(self.database.read(lambda c: tables.line_of(c, start)))
        snapshot = fetch_snapshot(
            self.store,
            Packed(packed.manifest, packed.taxonomy, packed.taxonomy_version),
            request.taxonomy_version,
        )
        dataset = build_dataset(snapshot, rules, fetch_seen(self.store, [model.dataset for model in line]))
        held = self._put(f"{run_id}.parquet", write_dataset(dataset))
        trained = ModelTrained(
            run_id=run_id, model_version="000", base_version=start, snapshot_id=packed.snapshot_id,
            network="small_cnn", image_size_px=8, classes=classes_of(dataset), model=held, dataset=held,
            history=held, images=counts_of(dataset), epochs=1, best_epoch=1, trained_at=AT,
            throw_away=request.throw_away,
        )  # fmt: skip
        return str(asyncio.run(self.database.run(lambda unit: tables.register(unit, trained))))

    def _put(self, name: str, data: bytes) -> ObjectRef:
        return self.store.put(Buckets.MODELS, name, data)


@contextmanager
def dataset_desk(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatasetDesk]:
    """A trainer that has heard of nothing yet, beside an empty library."""
    database = Database(f"sqlite:///{folder}/trainer.sqlite", tables.metadata, "trainer", "desk")
    tables.metadata.create_all(database.engine)
    with (
        library_desk(folder, capsys, monkeypatch) as desk,
        serving(create_http(database, desk.house.store, SecretStr(TOKEN))) as url,
    ):
        stack = session.find_stack(None)
        both = replace(stack, urls=stack.urls | {"trainer": url})
        monkeypatch.setattr(session, "find_stack", lambda data_dir: both)
        yield DatasetDesk(desk, database)
    database.close()
