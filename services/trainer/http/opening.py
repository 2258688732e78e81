"""Opens the data set of a model, or the one that a run would have now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from contracts.events import ModelTrained, SnapshotPacked
from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import ModelVersion
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.shards import ManifestDamaged
from services.runtime.web.refusals import Refused
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.known import Ancestor
from services.trainer.domain.seen import seen_by
from services.trainer.domain.table import Table
from services.trainer.fitting.datasets import Packed, fetch_dataset, fetch_snapshot
from services.trainer.store.asked import find_request, newest_snapshot
from services.trainer.store.models import find_model, known_versions, line_of, newest_model
from services.trainer.store.snapshots import find_snapshot

NEWEST = "newest"
SCRATCH = "scratch"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Plan:
    """What a data set is made of. ``model`` is None for one that no model was trained on yet."""

    model: ModelTrained | None
    packed: SnapshotPacked
    taxonomy_version: int | None
    rules: DatasetRules
    line: Sequence[ModelTrained]
    """The models that the run starts from, newest first."""


@dataclass(frozen=True)
class Opened:
    """A data set with all that explains it."""

    plan: Plan
    dataset: Table[DatasetRow]
    snapshot: Table[SnapshotRow]
    ancestors: Sequence[Ancestor]


@dataclass(frozen=True)
class Wanted:
    """A run that was not asked for."""

    rules: DatasetRules
    base: str
    snapshot_id: str | None
    taxonomy_version: int | None


class Opener:
    """One data set at a time is opened and looked at: one of 100,000 images takes some hundred MB."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store
        self._turn = asyncio.Semaphore(1)

    async def of_model(self, version: str, look: Callable[[Opened], Found]) -> Found:
        """What ``look`` finds in the data set that a model was trained on.

        Raises:
            Refused: there is no such model, or its data set cannot be read any more.
        """
        return await self._look(await self._database.read(lambda c: _plan_of_model(c, version)), look)

    async def of_run(self, wanted: Wanted, look: Callable[[Opened], Found]) -> Found:
        """What ``look`` finds in the data set of a run that would start now; nothing is stored.

        Raises:
            Refused: there is no snapshot, or no such model to start from, or the numbers contradict.
        """
        return await self._look(await self._database.read(lambda c: _plan_of_run(c, wanted)), look)

    async def _look(self, plan: Plan, look: Callable[[Opened], Found]) -> Found:
        async with self._turn:
            try:
                return await asyncio.to_thread(lambda: look(_opened(self._store, plan)))
            except TrainingError as error:
                raise Refused(422, str(error)) from error
            except (ObjectMissing, ObjectDamaged, ManifestDamaged) as error:
                raise Refused(409, f"the data set can no longer be read: {error}") from error


def _opened(store: ObjectStore, plan: Plan) -> Opened:
    packed = Packed(plan.packed.manifest, plan.packed.taxonomy, plan.packed.taxonomy_version)
    snapshot = fetch_snapshot(store, packed, plan.taxonomy_version)
    ancestors = [Ancestor(model.model_version, fetch_dataset(store, model.dataset)) for model in plan.line]
    if plan.model is not None:
        dataset = fetch_dataset(store, plan.model.dataset)
    else:
        dataset = build_dataset(snapshot, plan.rules, seen_by(one.dataset for one in ancestors))
    return Opened(plan, dataset, snapshot, ancestors)


def _plan_of_model(connection: sa.Connection, version: str) -> Plan:
    [model, *line] = _line(connection, version)
    packed = find_snapshot(connection, model.snapshot_id)
    if packed is None:
        raise Refused(409, f"the snapshot {model.snapshot_id} of model {model.model_version} is not known")
    request = find_request(connection, model.run_id)
    return Plan(
        model,
        packed,
        None if request is None else request.taxonomy_version,
        DatasetRules() if request is None else request.rules,
        line,
    )


def _plan_of_run(connection: sa.Connection, wanted: Wanted) -> Plan:
    if wanted.snapshot_id is None:
        packed = newest_snapshot(connection)
    else:
        packed = find_snapshot(connection, wanted.snapshot_id)
    if packed is None:
        named = "" if wanted.snapshot_id is None else f" {wanted.snapshot_id[:80]!r}"
        raise Refused(404, f"the trainer knows no snapshot{named}: pack one by `menagerie snapshot`")
    base = newest_model(connection) if wanted.base == NEWEST else wanted.base
    line = [] if base in {None, SCRATCH} else _line(connection, str(base))
    return Plan(None, packed, wanted.taxonomy_version, wanted.rules, line)


def _line(connection: sa.Connection, version: str) -> list[ModelTrained]:
    """The model and its ancestors, newest first."""
    known = known_versions(connection)
    chosen: ModelVersion | None = version
    if version == NEWEST:
        chosen = known[0] if known else None
    model = None if chosen is None else find_model(connection, chosen)
    if model is None:
        there = f"the newest are: {', '.join(known)}" if known else "none is trained yet"
        raise Refused(404, f"there is no model {version[:80]!r}; {there}")
    return line_of(connection, model.model_version)
