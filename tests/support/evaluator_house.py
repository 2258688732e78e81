"""The evaluator's handlers on the test's servers, without a broker, and what it says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from contracts.commands import RequestComparison, RequestEvaluation
from contracts.events import ImageFlagged, SnapshotPacked, TaxonomyChanged
from contracts.message import Message
from contracts.taxonomy import Change, Operation
from contracts.values import Flag, ObjectRef, QualityFlag
from services.evaluator import store
from services.evaluator.handlers import FlagNotes, LibraryNotes, ModelsHeard
from services.evaluator.settings import EvaluatorSettings
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.runtime.logs import get_log
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import NOW

M = TypeVar("M", bound=Message)


class Room:
    """One evaluator; ``settings`` name the servers."""

    def __init__(self, settings: EvaluatorSettings) -> None:
        self.settings = settings
        self.database = Database(
            settings.database_url.get_secret_value(), store.metadata, source="evaluator", owner="test"
        )
        self._heard = ModelsHeard(self.database, settings, get_log("evaluator"))
        self._notes = LibraryNotes(self.database)

    async def hear(self, message: Message) -> None:
        """Handle it once."""
        delivery: Delivery[Any] = Delivery(message, "ANY", 1, 1, datetime.now(UTC), message.message_id())
        if isinstance(message, ImageFlagged):
            await FlagNotes(self.database).heard([delivery])
            return
        of_library = isinstance(message, SnapshotPacked | TaxonomyChanged)
        await (self._notes if of_library else self._heard).handle(delivery)

    async def told(self, kind: type[M]) -> list[M]:
        """Messages of a kind that wait to be published, in order."""
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.body).where(table.c.subject == kind.subject()).order_by(table.c.outbox_id)
        bodies = await self.database.read(lambda c: list(c.execute(query).scalars()))
        return [kind.model_validate_json(body) for body in bodies]


def evaluation_of(version: str, request_id: str = "again-0001", **fields: Any) -> RequestEvaluation:
    """A request to score a model again."""
    return RequestEvaluation(
        request_id=request_id, model_version=version, by="ann", requested_at=NOW, **fields
    )


def flagged(image_id: str, *flags: QualityFlag, revision: int = 1) -> ImageFlagged:
    """What ingest says of a picture: all its flags."""
    told = tuple(Flag(flag=flag, value=1.0, threshold=2.0) for flag in flags)
    return ImageFlagged(image_id=image_id, revision=revision, flags=told, flagged_at=NOW)


def comparison_of(a: str, b: str, request_id: str = "compare-01", **fields: Any) -> RequestComparison:
    """A request to compare two models."""
    return RequestComparison(
        request_id=request_id, model_a=a, model_b=b, by="ann", requested_at=NOW, **fields
    )


def versions(*changes: Change) -> list[TaxonomyChanged]:
    """What ingest says of a taxonomy that changed so."""
    return [
        TaxonomyChanged(
            version=number, images=0, changed_at=NOW,
            operation=Operation(version=number, change=change, by="ann", at=NOW),
        )
        for number, change in enumerate(changes, 1)
    ]  # fmt: skip


def matrix_of(object_store: ObjectStore, scores: ObjectRef) -> np.ndarray[Any, Any]:
    """A score matrix out of the store."""
    loaded: np.ndarray[Any, Any] = np.load(io.BytesIO(object_store.get(scores)))
    return loaded


def rows_of(object_store: ObjectStore, parquet: ObjectRef) -> Sequence[dict[str, Any]]:
    """Rows of a Parquet file out of the store."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(object_store.get(parquet))).to_pylist()
    return rows
