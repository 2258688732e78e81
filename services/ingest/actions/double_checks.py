"""Asking for another look at labels, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from contracts.commands import CloseDoubleCheck, RequestDoubleCheck
from contracts.events import DoubleChecked, DoubleCheckRequested
from contracts.values import DoubleCheckVerdict, ImageId
from services.ingest.actions.images import known_labels
from services.ingest.store import double_checks, labels
from services.runtime.database import Unit

SPLIT_UNDONE = "the split that asked for it was undone"


def request_double_check(unit: Unit, request: RequestDoubleCheck, at: datetime) -> dict[str, Any]:
    """Queue images for another look, all or none; one that waits for it already keeps its place."""
    known_labels(unit.connection, request.image_ids)
    return {"changed": open_double_checks(unit, request.image_ids, request.by, request.reason, at)}


def double_checked(unit: Unit, request: CloseDoubleCheck, at: datetime) -> dict[str, Any]:
    """End double-checks without another label; images that wait for none are left alone."""
    known_labels(unit.connection, request.image_ids)
    verdicts = dict.fromkeys(request.image_ids, DoubleCheckVerdict(request.verdict))
    return {"changed": close_double_checks(unit, verdicts, request.by, request.reason, at)}


def open_double_checks(
    unit: Unit,
    image_ids: Iterable[ImageId],
    by: str,
    reason: str,
    at: datetime,
    taxonomy_version: int | None = None,
) -> int:
    """Open a double-check of each image that has none open; how many.

    ``taxonomy_version`` is that of the split that asks for it. Images that the library does not have
    are passed over.
    """
    connection = unit.connection
    known = labels.lock_labels(connection, image_ids).keys()
    wanted = known - double_checks.open_revisions(connection, known).keys()
    newest = double_checks.newest_revisions(connection, wanted)
    requested = [
        DoubleCheckRequested(
            image_id=image_id, revision=newest.get(image_id, 0) + 1, reason=reason, by=by, requested_at=at
        )
        for image_id in sorted(wanted)
    ]
    double_checks.keep_requested(connection, requested, taxonomy_version)
    for item in requested:
        unit.emit(item)
    return len(requested)


def close_double_checks(
    unit: Unit,
    verdicts: Mapping[ImageId, DoubleCheckVerdict],
    by: str,
    reason: str | None,
    at: datetime,
) -> int:
    """End the open double-checks of the images, whose rows are locked; how many there were."""
    opened = double_checks.open_revisions(unit.connection, verdicts)
    checked = [
        DoubleChecked(
            image_id=image_id,
            revision=revision,
            verdict=verdicts[image_id],
            by=by,
            reason=reason,
            checked_at=at,
        )
        for image_id, revision in opened.items()
    ]
    double_checks.keep_checked(unit.connection, checked)
    for item in checked:
        unit.emit(item)
    return len(checked)


def close_split_checks(unit: Unit, taxonomy_version: int, by: str, at: datetime) -> int:
    """End what the split of that version asked for and nobody did yet, because it was undone; how many."""
    waiting = double_checks.opened_by_split(unit.connection, taxonomy_version)
    labels.lock_labels(unit.connection, waiting)
    waiting &= double_checks.opened_by_split(unit.connection, taxonomy_version)  # now that nobody is at it
    verdicts = dict.fromkeys(waiting, DoubleCheckVerdict.KEEP)
    return close_double_checks(unit, verdicts, by, SPLIT_UNDONE, at)
