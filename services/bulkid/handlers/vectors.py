"""Has a child compute the similarity vectors that a snapshot's images lack, and tells where they stand."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.commands import RequestVectors
from contracts.events import ModelExported, SnapshotPacked, VectorsComputed
from services.bulkid import store
from services.bulkid.domain.vectors import PRETRAINED_ENCODER, RUN_IMAGES, model_encoder, vectors_run_id
from services.bulkid.handlers.heard import check_size, known_model, known_snapshot
from services.bulkid.handlers.requests import vectors_left_over
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import OthersWereFaster, VectorRun
from services.runtime.child import ChildFailed, run_child
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable

JOB = "services.bulkid.vectors_job"
KNOWN_FILE = "known.txt"


class VectorMaker:
    """Handler of the requests for vectors that come in ``bulkid-requests``."""

    def __init__(
        self, database: Database, settings: BulkidSettings, log: Any, one_child: asyncio.Lock
    ) -> None:
        """``one_child`` is shared: two networks at once only slow each other."""
        self._database = database
        self._settings = settings
        self._log = log
        self._one_child = one_child

    async def requested(self, delivery: Delivery[RequestVectors]) -> None:
        """Compute what is missing, RUN_IMAGES at most; the rest is requested with what is told."""
        request = delivery.message
        async with self._one_child:
            run = await self._open(request)
            if run.completed_at is not None:
                self._log.info("vectors.repeated", run_id=run.run_id)
                return
            snapshot = await known_snapshot(self._database, run.snapshot_id)
            exported = await self._model(run, snapshot)
            while not await self._completed(run, request, snapshot, exported):
                self._log.info("vectors.repeating", run_id=run.run_id, why="another run was faster")

    async def _open(self, request: RequestVectors) -> VectorRun:
        run_id = vectors_run_id(request.request_id)
        opened = await self._database.read(lambda c: store.find_vector_run(c, run_id))
        if opened is not None:
            return opened  # a model or a snapshot since then must not change what a redelivery tells
        snapshot = await known_snapshot(self._database, request.snapshot_id)
        if request.model_version is not None:
            exported: ModelExported | None = await known_model(self._database, request.model_version)
        else:
            exported = await self._database.read(lambda c: store.newest_model(c, snapshot.image_size_px))
        version = None if exported is None else exported.model_version
        run = VectorRun(
            run_id, request.request_id, _encoder(exported), version, snapshot.snapshot_id, None, None
        )
        return await self._database.run(lambda unit: store.open_vector_run(unit, run))

    async def _model(self, run: VectorRun, snapshot: SnapshotPacked) -> ModelExported | None:
        if run.model_version is None:
            return None
        exported = await known_model(self._database, run.model_version)
        check_size(exported, snapshot)
        if _encoder(exported) != run.encoder:
            raise Unprocessable(
                f"model {run.model_version} was exported again with other weights since run {run.run_id} "
                f"began with {run.encoder}; request anew: `menagerie vectors {run.model_version}`"
            )
        return exported

    async def _completed(
        self,
        run: VectorRun,
        request: RequestVectors,
        snapshot: SnapshotPacked,
        exported: ModelExported | None,
    ) -> bool:
        """Whether the run is told now; False when another run told some of its images meanwhile."""
        result = await self._compute(run, snapshot, exported)
        now = datetime.now(UTC)
        computed = VectorsComputed.model_validate({
            "run_id": run.run_id, "encoder": run.encoder, "model_version": run.model_version,
            "snapshot_id": run.snapshot_id, "images": result["images"], "dimensions": result["dimensions"],
            "vectors": result["vectors"], "computed_at": now,
        })  # fmt: skip
        rest = vectors_left_over(request, run.run_id, run.snapshot_id, now) if result["left_over"] else None
        try:
            await self._database.run(
                lambda unit: store.complete_vector_run(unit, computed, result["image_ids"], rest)
            )
        except OthersWereFaster:
            return False
        self._log.info(
            "vectors.computed", run_id=run.run_id, encoder=run.encoder, images=computed.images,
            left_over=result["left_over"],
        )  # fmt: skip
        return True

    async def _compute(
        self, run: VectorRun, snapshot: SnapshotPacked, exported: ModelExported | None
    ) -> dict[str, Any]:
        scratch = self._settings.work_dir / run.run_id  # a killed run's rest goes here
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        spec = {
            "run_id": run.run_id, "encoder": run.encoder, "scratch": str(scratch), "known": KNOWN_FILE,
            "model": None if exported is None else exported.model_dump(mode="json"),
            "manifest": snapshot.manifest.model_dump(mode="json"), "image_size_px": snapshot.image_size_px,
            "most": RUN_IMAGES,
            "dimensions": await self._database.read(lambda c: store.known_dimensions(c, run.encoder)),
        }  # fmt: skip
        try:
            await self._write_known(run.encoder, scratch / KNOWN_FILE)
            return await run_child(JOB, spec, self._tell, env=self._settings.identifying_env())
        except ChildFailed as error:
            raise Unprocessable(f"run {run.run_id}: {error.message}. {error.remedy}".strip()) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    async def _write_known(self, encoder: str, path: Path) -> None:
        known = await self._database.read(lambda c: store.images_with_vector(c, encoder))
        await asyncio.to_thread(path.write_text, "".join(f"{image_id}\n" for image_id in known))

    async def _tell(self, progress: dict[str, Any]) -> None:
        self._log.info("vectors.progressed", **progress)


def _encoder(exported: ModelExported | None) -> str:
    if exported is None:
        return PRETRAINED_ENCODER
    return model_encoder(exported.model_version, exported.model.sha256)
