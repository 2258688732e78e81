"""Questions about pages of scorings, and comparisons of models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from contracts.values import ObjectRef
from services.reporter.store.reading import Row, first, rows
from services.reporter.store.tables import fct_model_comparisons, fct_model_pages

REPORTS = "reports"
PAGE = fct_model_pages.c
COMPARED = fct_model_comparisons.c


def pages(connection: sa.Connection) -> set[tuple[str, str]]:
    """Model and request of every scoring that has a page."""
    found = connection.execute(sa.select(PAGE.model_version, PAGE.request_id))
    return {(version, request_id) for version, request_id in found}


def page_of(connection: sa.Connection, model_version: str, request_id: str) -> ObjectRef | None:
    """Where the page of that scoring lies."""
    query = sa.select(PAGE.page_key, PAGE.page_size_bytes, PAGE.page_sha256).where(
        PAGE.model_version == model_version, PAGE.request_id == request_id
    )
    return _ref(connection, query, "page")


def comparisons(connection: sa.Connection, limit: int) -> list[Row]:
    """Comparisons, the newest first."""
    query = sa.select(*(one for one in COMPARED if one.name not in {"event_seq", "summary_sha256"}))
    return rows(connection, query.order_by(COMPARED.compared_at.desc(), COMPARED.request_id).limit(limit))


def summary_of(connection: sa.Connection, request_id: str) -> ObjectRef | None:
    """Where the summary of that comparison lies."""
    query = sa.select(COMPARED.summary_key, COMPARED.summary_size_bytes, COMPARED.summary_sha256)
    return _ref(connection, query.where(COMPARED.request_id == request_id), "summary")


def _ref(connection: sa.Connection, query: sa.Select[Any], name: str) -> ObjectRef | None:
    row = first(connection, query)
    if row is None:
        return None
    return ObjectRef(
        bucket=REPORTS, key=row[f"{name}_key"], size=row[f"{name}_size_bytes"], sha256=row[f"{name}_sha256"]
    )
