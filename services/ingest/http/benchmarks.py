"""Benchmark sets: ``GET /api/v1/benchmarks``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from services.ingest.store.benchmarks import benchmark_sets
from services.runtime.database import Database


def router(database: Database) -> APIRouter:
    """The sets with their sizes."""
    routes = APIRouter()

    @routes.get("/api/v1/benchmarks")
    async def sets() -> dict[str, list[dict[str, Any]]]:
        return {"benchmarks": [asdict(found) for found in await database.read(benchmark_sets)]}

    return routes
