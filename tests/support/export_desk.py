"""The exporter's handler over a database and a real store, with one registered model; what it told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from contracts.commands import RequestCompression, RequestExport, RequestTraining
from contracts.events import ModelScored, ModelTrained
from contracts.manifests import Buckets
from contracts.message import Message, message_types
from contracts.values import ObjectRef
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.runtime.logs import get_log
from services.trainer import store
from services.trainer.handlers import Exporter
from services.trainer.settings import TrainerSettings
from tests.support.colour_library import NOW
from tests.support.export_house import KEY, OPTIONS, ExportHouse
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server

VERSION = "001"


class ExportDesk:
    """One trainer's exporter; several share what lies at ``database_url`` and in the store."""

    def __init__(self, weed: S3Server, folder: Path, database_url: str, **changes: Any) -> None:
        fields = model_service_settings("trainer", weed, database_url, folder / "work")
        # The children make TensorFlow's files whatever the trainer trains on.
        fields |= {"export_signing_key": KEY, "training_threads": 1, "keras_backend": "jax"}
        self.settings = TrainerSettings(**(fields | changes))
        self.database = Database(database_url, store.metadata, source="trainer", owner="test")
        self.store = weed.store()
        self.folder = folder
        self.exporter = Exporter(self.database, self.settings, get_log("trainer"))

    def clear(self) -> None:
        """Take away what another test on this server exported."""
        for key in self.objects():
            self.store.remove(Buckets.MODELS, key)

    def objects(self) -> list[str]:
        """Everything below the model's prefix."""
        return list(self.store.list(Buckets.MODELS, f"{VERSION}/"))

    async def register(self, throw_away: bool = False) -> ModelTrained:
        """A trained model, the first of the database."""
        house = ExportHouse(self.store, "000", self.folder / "house")
        trained = house.trained.model_copy(update={"throw_away": throw_away})
        request = RequestTraining(
            run_id=trained.run_id, snapshot_id="s", options=OPTIONS, throw_away=throw_away, by="ann", requested_at=NOW,
        )  # fmt: skip
        await self.database.run(lambda unit: store.begin_run(unit, request, NOW))
        version = await self.database.run(lambda unit: store.register(unit, trained))
        assert version == VERSION
        return trained.model_copy(update={"model_version": version})

    async def hear(self, message: Message) -> None:
        """Have the handler work on it."""
        delivery: Any = Delivery(message, "MODELS", 1, 1, datetime.now(UTC), message.message_id())
        await self.exporter.handle(delivery)

    async def told(self, kind: type[Message]) -> list[Any]:
        """Messages of that kind in the outbox, oldest first."""
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda c: c.execute(query).all())
        messages = [message_types()[row.subject].model_validate_json(row.body) for row in rows]
        return [message for message in messages if isinstance(message, kind)]


def scored(model: ModelTrained, report: ObjectRef, verdict: str = "go") -> ModelScored:
    """The evaluator's word on the model."""
    return ModelScored.model_validate({
        "request_id": model.run_id, "model_version": model.model_version, "threshold": 95.0, "sets": [],
        "gate": {"verdict": verdict, "rules": []}, "report": report, "scores": report, "scored_at": NOW,
        "throw_away": model.throw_away,
    })  # fmt: skip


def order(request_id: str = "order-0001") -> RequestExport:
    """A person wants the model exported."""
    return RequestExport(
        request_id=request_id, model_version=VERSION, by="ann", reason="why", requested_at=NOW
    )


def compression(version: str = VERSION, **options: Any) -> RequestCompression:
    """A person wants smaller variants."""
    return RequestCompression.model_validate(
        {"request_id": "compress-0001", "model_version": version, "options": options, "by": "ann"}
        | {"requested_at": NOW}
    )
