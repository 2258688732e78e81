"""The taxonomy as of any version: ``GET /api/v1/taxonomy`` and ``/api/v1/taxonomy/{version}``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from contracts.taxonomy import Classes, Taxonomy
from services.ingest.domain.faults import ActionRefused
from services.ingest.store.taxonomy import current_taxonomy
from services.runtime.database import Database


def router(database: Database) -> APIRouter:
    """The newest version, and any other."""
    routes = APIRouter(prefix="/api/v1/taxonomy")

    @routes.get("")
    async def newest() -> dict[str, Any]:
        taxonomy = await database.read(current_taxonomy)
        return _answer(taxonomy, taxonomy.version)

    @routes.get("/{version}")
    async def as_of(version: int) -> dict[str, Any]:
        return _answer(await database.read(current_taxonomy), version)

    return routes


def view(taxonomy: Taxonomy, version: int) -> Classes:
    """The classes as of ``version``.

    Raises:
        ActionRefused: there is no such version.
    """
    try:
        return taxonomy.at(version)
    except LookupError as error:
        raise ActionRefused(404, str(error)) from error


def _answer(taxonomy: Taxonomy, version: int) -> dict[str, Any]:
    merged = view(taxonomy, version).merged
    return {
        "version": version,
        "operations": [operation.model_dump(mode="json") for operation in taxonomy.operations[:version]],
        "merged": [
            {"class_name": name, "members": list(members)} for name, members in sorted(merged.items())
        ],
    }
