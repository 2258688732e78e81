"""Exports what the gate lets go, or what a person orders; has models made smaller when asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestCompression, RequestExport
from contracts.events import ModelCompressed, ModelExported, ModelScored, ModelTrained
from contracts.training import TrainOptions
from contracts.values import GateVerdict, ModelVersion
from services.runtime.child import ChildDied, ChildFailed
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery, Postponed, Unprocessable
from services.runtime.leases import LeaseLost
from services.runtime.orders import EXIT_LEFT_ALONE
from services.trainer import store
from services.trainer.domain.export_specs import CompressSpec, ExportResult, ExportSpec, Origin
from services.trainer.domain.specs import Outcome
from services.trainer.handlers.children import Children
from services.trainer.handlers.export_lease import exporting
from services.trainer.handlers.leased import Orders
from services.trainer.settings import TrainerSettings

EXPORTING = "services.trainer.exporting"
COMPRESSING = "services.trainer.compressing"
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow"}
"""Both write files of TensorFlow's: a model of any backend is read by this one."""


class Exporter:
    """Handler of ``trainer-exports``: exports, and smaller variants beside them."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._children = Children(settings)
        self._lease_s = settings.lease_s
        self._signs = bool(settings.export_signing_key.get_secret_value())
        self._log = log
        # Children want a machine's memory; other trainers are kept away from an export by its lease.
        self._one_child = asyncio.Lock()

    async def handle(self, delivery: Delivery[ModelScored | RequestExport | RequestCompression]) -> None:
        """A score with a go exports a model once; an order is told under its own request."""
        match delivery.message:
            case ModelScored() as scored:
                await self._database.run(lambda unit: store.record_report(unit, scored))
                if scored.gate.verdict is GateVerdict.GO and not scored.throw_away:
                    await self._export(scored.model_version, scored.request_id, None)
            case RequestExport() as order:
                await self._export(order.model_version, order.request_id, order)
            case RequestCompression() as wanted:
                async with self._one_child:
                    await self._compress(wanted)

    async def _export(self, version: ModelVersion, request_id: str, order: RequestExport | None) -> None:
        model = await self._model(version, "exported")
        async with self._one_child, exporting(self._database, version, self._lease_s, self._log) as held:
            told = [exported.request_id for exported in await self._exports(version)]
            if request_id in told or (order is None and told):
                self._log.info("export.repeated", model_version=version, request_id=request_id)
                return
            # Of an export that stands, the child says that it does, once it has read all of it.
            result = await self._export_now(model, held.orders)
            exported = ModelExported(
                request_id=request_id, model_version=version, snapshot_id=model.snapshot_id,
                manifest=result.manifest, model=result.model, image_size_px=model.image_size_px,
                classes=model.classes, ordered_by=order.by if order else None,
                reason=order.reason if order else None, exported_at=datetime.now(UTC),
            )  # fmt: skip
            await self._tell(exported, held.owner)
        if not self._signs:
            self._log.warning(
                "export.unsigned", remedy="set MENAGERIE_EXPORT_SIGNING_KEY: `openssl rand -hex 32`"
            )

    async def _tell(self, exported: ModelExported, owner: str) -> None:
        version = exported.model_version

        def work(unit: Unit) -> None:
            store.export_lease.renew(unit, version, owner, self._lease_s)  # still ours
            store.record_export(unit, exported)

        try:
            await self._database.run(work)
        except LeaseLost as lost:
            raise Postponed(str(lost), self._lease_s / 2) from lost
        self._log.info("model.exported", model_version=version, request_id=exported.request_id)

    async def _model(self, version: ModelVersion, done: str) -> ModelTrained:
        model = await self._database.read(lambda c: store.find_model(c, version))
        if model is None:
            names = await self._database.read(store.named_versions)
            raise Unprocessable(f"there is no model {version}; the newest are: {names}")
        if model.throw_away:
            raise Unprocessable(f"model {version} is of a throw-away run, which is never {done}")
        return model

    async def _exports(self, version: ModelVersion) -> list[ModelExported]:
        return list(await self._database.read(lambda c: store.find_exports(c, version)))

    async def _export_now(self, model: ModelTrained, orders: Orders) -> ExportResult:
        line = await self._database.read(lambda c: store.line_of(c, model.model_version))
        first = line[-1]
        begun = await self._options(first)
        spec = ExportSpec(
            trained=model,
            origin=Origin(version=first.model_version, network=first.network, weights=begun.weights),
            options=await self._options(model),
            report=await self._database.read(lambda c: store.find_report(c, model.model_version)),
            scratch=str(self._children.scratch(f"export-{model.model_version}")),
        )
        try:
            outcome = await self._run(EXPORTING, spec, orders)
        except ChildDied as error:
            if error.code == EXIT_LEFT_ALONE:  # this process was held: no fault of the child's
                raise Postponed(f"the export of model {model.model_version} was left", 0.0) from error
            raise
        assert outcome.export is not None
        return outcome.export

    async def _compress(self, wanted: RequestCompression) -> None:
        version, request_id = wanted.model_version, wanted.request_id
        model = await self._model(version, "compressed")
        if await self._database.read(lambda c: store.is_compressed(c, version, request_id)):
            self._log.info("compression.repeated", model_version=version, request_id=request_id)
            return
        spec = CompressSpec(
            trained=model, request_id=request_id, options=wanted.options,
            train_options=await self._options(model),
            scratch=str(self._children.scratch(f"compress-{version}-{request_id}")),
        )  # fmt: skip
        outcome = await self._run(COMPRESSING, spec)
        assert outcome.compress is not None
        done = outcome.compress
        compressed = ModelCompressed(
            request_id=request_id, model_version=version, test_images=done.images,
            measured_on=done.measured_on, accuracy=done.accuracy, variants=done.variants,
            compressed_at=datetime.now(UTC),
        )  # fmt: skip
        await self._database.run(lambda unit: store.record_compression(unit, compressed))
        self._log.info("model.compressed", model_version=version, request_id=request_id)

    async def _options(self, model: ModelTrained) -> TrainOptions:
        request = await self._database.read(lambda c: store.find_request(c, model.run_id))
        return TrainOptions(network=model.network) if request is None else request.options

    async def _run(
        self, module: str, spec: ExportSpec | CompressSpec, orders: Orders | None = None
    ) -> Outcome:
        try:
            return await self._children.run(module, spec, orders=orders, env=ENVIRONMENT)
        except ChildFailed as error:
            version = spec.trained.model_version
            raise Unprocessable(f"model {version}: {error.message}; {error.remedy}") from error
