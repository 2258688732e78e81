"""Exports and compressions with the real children, store and database: told once, killed and completed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.commands import RequestCompression, RequestExport, RequestTraining
from contracts.events import ModelCompressed, ModelExported, ModelScored, ModelTrained
from contracts.manifests import Buckets
from contracts.message import Message, message_types
from contracts.values import ObjectRef
from services.ops.clients.errors import OpsError
from services.ops.clients.exports import check_folder, check_stored, download
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.logs import get_log
from services.runtime.signing import public_key_of
from services.trainer import store
from services.trainer.handlers import Exporter
from services.trainer.settings import TrainerSettings
from tests.support.colour_library import NOW
from tests.support.export_house import KEY, OPTIONS, ExportHouse
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration


class Desk:
    """The exporter's handler, with one registered model."""

    def __init__(self, weed: S3Server, folder: Path) -> None:
        url = f"sqlite:///{folder}/trainer.sqlite"
        fields = model_service_settings("trainer", weed, url, folder / "work")
        # The children make TensorFlow's files whatever the trainer trains on.
        fields |= {"export_signing_key": KEY, "training_threads": 1, "keras_backend": "jax"}
        self.settings = TrainerSettings(**fields)
        self.database = Database(url, store.metadata, source="trainer", owner="test")
        self.store = weed.store()
        self.exporter = Exporter(self.database, self.settings, get_log("trainer"))
        self.house = ExportHouse(self.store, "000", folder / "house")

    async def register(self, throw_away: bool = False) -> ModelTrained:
        trained = self.house.trained.model_copy(update={"throw_away": throw_away})
        request = RequestTraining(
            run_id=trained.run_id, snapshot_id="s", options=OPTIONS, throw_away=throw_away, by="ann", requested_at=NOW,
        )  # fmt: skip
        await self.database.run(lambda unit: store.begin_run(unit, request, NOW))
        version = await self.database.run(lambda unit: store.register(unit, trained))
        assert version == "001"
        return trained.model_copy(update={"model_version": version})

    async def hear(self, message: Message) -> None:
        delivery: Any = Delivery(message, "MODELS", 1, 1, datetime.now(UTC), message.message_id())
        await self.exporter.handle(delivery)

    async def told(self, kind: type[Message]) -> list[Any]:
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda c: c.execute(query).all())
        messages = [message_types()[row.subject].model_validate_json(row.body) for row in rows]
        return [message for message in messages if isinstance(message, kind)]


@pytest.fixture
async def desk(weed: S3Server, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(weed, tmp_path)
    for key in list(made.store.list(Buckets.MODELS, "001/")):  # of another test on this server
        made.store.remove(Buckets.MODELS, key)
    yield made
    made.database.close()


def scored(model: ModelTrained, report: ObjectRef, verdict: str = "go") -> ModelScored:
    return ModelScored.model_validate({
        "request_id": model.run_id, "model_version": model.model_version, "threshold": 95.0, "sets": [],
        "gate": {"verdict": verdict, "rules": []}, "report": report, "scores": report, "scored_at": NOW,
        "throw_away": model.throw_away,
    })  # fmt: skip


def compression(version: str, **options: Any) -> RequestCompression:
    return RequestCompression.model_validate(
        {"request_id": "compress-0001", "model_version": version, "options": options, "by": "ann"}
        | {"requested_at": NOW}
    )


async def test_a_killed_export_shows_nothing_and_is_completed_signed_told_once_and_fetched(
    desk: Desk, tmp_path: Path
) -> None:
    model = await desk.register()
    report = desk.store.put(
        "reports", "exports/report.json", b'{"sets": [], "gate": {"verdict": "go", "rules": []}}'
    )
    killed = asyncio.create_task(desk.hear(scored(model, report)))
    async with asyncio.timeout(300):  # its first files come to the store late: the child dies in the midst
        while not list(desk.store.list(Buckets.MODELS, "001/")) and not killed.done():
            await asyncio.sleep(0.01)
    killed.cancel()
    await asyncio.wait([killed])
    assert await desk.told(ModelExported) == []
    public_key = public_key_of(KEY)
    if not killed.cancelled():
        raise AssertionError("the export ended before it could be killed")
    with pytest.raises(OpsError, match="model 001 is not exported"):
        check_stored(desk.store, "001", public_key)

    await desk.hear(scored(model, report))
    await desk.hear(scored(model, report))  # redelivery
    order = RequestExport(
        request_id="order-0001", model_version="001", by="ann", reason="why", requested_at=NOW
    )
    await desk.hear(order)
    first, second = await desk.told(ModelExported)
    assert (first.manifest, first.ordered_by, second.ordered_by) == (second.manifest, None, "ann")

    assert check_stored(desk.store, "001", public_key).public_key == public_key
    fetched = download(desk.store, "001", tmp_path / "models", public_key)
    folder = tmp_path / "models" / "001"
    assert check_folder(folder, public_key) == fetched
    check_refusals(folder, public_key)
    assert not [path for path in desk.settings.work_dir.iterdir() if path.name.startswith("export-")]


def check_refusals(folder: Path, public_key: str) -> None:
    """Every change to a fetched export is named."""
    with pytest.raises(OpsError, match="by the key 2222"):
        check_folder(folder, "22" * 32)
    labels = folder / "labels.json"
    content = labels.read_bytes()
    labels.write_bytes(content.replace(b"across", b"acroSS"))
    with pytest.raises(
        OpsError, match=r"labels\.json is not what the manifest says: do not serve this export"
    ):
        check_folder(folder, public_key)
    labels.write_bytes(content)
    (folder / "001" / "saved_model.pbtxt").write_text("another graph")
    with pytest.raises(OpsError, match=r"does not name \(001/saved_model\.pbtxt\)"):
        check_folder(folder, public_key)
    (folder / "001" / "saved_model.pbtxt").unlink()
    manifest = folder / "export.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"small_cnn", b"other_cnn"))
    with pytest.raises(OpsError, match="is not to be trusted"):
        check_folder(folder, public_key)
    assert check_folder(folder, None).files > 10
    manifest.write_bytes(manifest.read_bytes().replace(b'"labels.json"', b'"../labels.json"'))
    with pytest.raises(OpsError, match="outside its folder"):
        check_folder(folder, None)


async def test_a_model_is_compressed_once_a_request(desk: Desk) -> None:
    await desk.register()
    asked = compression("001", int8=True, float16=False, dynamic_range=False)
    await desk.hear(asked)
    await desk.hear(asked)  # redelivery
    (told,) = await desk.told(ModelCompressed)
    assert [variant.name for variant in told.variants] == ["litert", "int8"]
    assert (told.test_images, told.measured_on) == (60, "test")
    for variant in told.variants:
        assert desk.store.get(variant.file)


async def test_throw_away_and_unknown_models_are_neither_exported_nor_compressed(desk: Desk) -> None:
    await desk.register(throw_away=True)
    order = RequestExport(
        request_id="order-0001", model_version="001", by="ann", reason="why", requested_at=NOW
    )
    with pytest.raises(Unprocessable, match="model 001 is of a throw-away run, which is never exported"):
        await desk.hear(order)
    with pytest.raises(Unprocessable, match="model 001 is of a throw-away run, which is never compressed"):
        await desk.hear(compression("001"))
    with pytest.raises(Unprocessable, match="there is no model 404; the newest are: 001"):
        await desk.hear(compression("404"))
    assert not list(desk.store.list(Buckets.MODELS, "001/"))
