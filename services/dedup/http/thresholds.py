"""``GET /api/v1/thresholds``: how alike two images have to be, and how well that agrees with people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from services.dedup.domain.alike import Limits
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.domain.thresholds import Threshold
from services.dedup.store.listing import words_said
from services.dedup.store.vectors import stored_thresholds
from services.runtime.database import Database


def router(database: Database, limits: Limits) -> APIRouter:
    """Those of hashes, which are settings, then those of similarity vectors, which are learnt."""
    routes = APIRouter(prefix="/api/v1/thresholds")

    @routes.get("")
    async def listed() -> dict[str, Any]:
        found = await database.read(lambda connection: _thresholds(connection, limits))
        return {"thresholds": [asdict(one) for one in found]}

    return routes


def _thresholds(connection: sa.Connection, limits: Limits) -> list[Threshold]:
    duplicates, not_duplicates = words_said(connection, DETECTOR)
    of_hashes = Threshold(
        class_name=None,
        detector=DETECTOR,
        automatic=limits.automatic_bits,
        review=limits.review_bits,
        precision=None,
        recall=None,
        duplicates=duplicates,
        not_duplicates=not_duplicates,
        learnt=False,
        out_of_sample=False,
    )
    return [of_hashes, *stored_thresholds(connection)]
