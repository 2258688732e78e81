"""``GET /api/v1/reports/MODEL``: what a scoring decided, and its report as a page, JSON and Parquet."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from contracts.values import ObjectRef
from services.evaluator import store
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.review.queues import aware
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore

NEWEST = "newest"
VERSIONS_NAMED = 5
Version = Annotated[str, Path(pattern=r"^(newest|[0-9]{3,9})$")]
Name = Literal["page", "report", "figures"]
TYPES = {
    "page": "text/html; charset=utf-8", "report": "application/json",
    "figures": "application/vnd.apache.parquet",
}  # fmt: skip


class ReportQuery(BaseModel):
    """Parameters; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    scoring: Annotated[str, Field(max_length=100)] | None = None
    """request_id; default: the newest of the model's own data set and classes."""


class Reports:
    """Finds and opens reports."""

    def __init__(self, database: Database, object_store: ObjectStore) -> None:
        self._database = database
        self._store = object_store

    async def about(self, version: str, scoring: str | None) -> dict[str, Any]:
        """The scoring, its gate, and where its files lie (None: made before there were such).

        Raises:
            ActionRefused: there is no such scoring, or its report can no longer be read.
        """
        wanted = None if version == NEWEST else version
        row = await self._database.read(lambda c: store.find_scoring(c, wanted, scoring))
        if row is None:
            raise await self._none(version, scoring)
        file = ObjectRef.model_validate(row["report"])
        report = json.loads(await self.open(file))
        return {
            "model_version": row["model_version"],
            "request_id": row["request_id"],
            "scored_at": aware(row["scored_at"]),
            "taxonomy_version": row["taxonomy_version"],
            "gate": report["gate"],
            "page": report.get("page"),
            "report": row["report"],
            "figures": report.get("figures"),
        }

    async def file(self, version: str, scoring: str | None, name: Name) -> bytes:
        """One of its files, checked by its digest; raises as ``about``, and when there is no such file."""
        about = await self.about(version, scoring)
        if about[name] is None:
            raise ActionRefused(
                404, f"the report of model {about['model_version']} has no {name}: it was made before there "
                f"were any. Make it anew by `menagerie evaluate {about['model_version']}`",
            )  # fmt: skip
        return await self.open(ObjectRef.model_validate(about[name]))

    async def open(self, file: ObjectRef) -> bytes:
        """Its bytes.

        Raises:
            ActionRefused: it is gone or damaged.
        """
        try:
            return await asyncio.to_thread(self._store.get, file)
        except (ObjectMissing, ObjectDamaged) as error:
            raise ActionRefused(
                409, f"the report can no longer be read: {error}. Make it anew by `menagerie evaluate`"
            ) from error

    async def _none(self, version: str, scoring: str | None) -> ActionRefused:
        known = await self._database.read(lambda c: store.scored_versions(c, VERSIONS_NAMED))
        if scoring is not None:
            return ActionRefused(404, f"model {version} has no scoring {scoring!r}")
        names = ", ".join(known) or "none yet"
        return ActionRefused(
            404, f"model {version} has no report; models with one: {names}. Score a model by "
            "`menagerie evaluate`",
        )  # fmt: skip


def router(database: Database, object_store: ObjectStore) -> APIRouter:
    """Reading only."""
    routes = APIRouter(prefix="/api/v1/reports")
    reports = Reports(database, object_store)

    @routes.get("/{version}")
    async def about(version: Version, query: Annotated[ReportQuery, Query()]) -> dict[str, Any]:
        return await reports.about(version, query.scoring)

    @routes.get("/{version}/{name}")
    async def file(version: Version, name: Name, query: Annotated[ReportQuery, Query()]) -> Response:
        return Response(await reports.file(version, query.scoring, name), media_type=TYPES[name])

    return routes
