"""Changes of the taxonomy: each is judged against the version before it and makes the next one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.commands import MergeClasses, RenameClass, SplitClass, UndoTaxonomy
from contracts.events import TaxonomyChanged
from contracts.taxonomy import Change, Merge, Operation, Rename, Split, Taxonomy
from services.ingest.actions.double_checks import close_split_checks, open_double_checks
from services.ingest.domain import taxonomy as judge
from services.ingest.domain.classes import LabelCount
from services.ingest.store.classes import label_counts
from services.ingest.store.requests import outcome_of
from services.ingest.store.taxonomy import add_operation, images_labelled, lock_taxonomy, relabel
from services.runtime.database import Unit

LONGEST_REASON = 2000
"""Characters (contracts.values.Reason)."""

Request = MergeClasses | SplitClass | RenameClass | UndoTaxonomy


def change_taxonomy(unit: Unit, request: Request, at: datetime) -> dict[str, Any]:
    """Merge, split, rename, or undo the newest of these.

    Raises:
        ActionRefused: it cannot be done to the taxonomy as it is now.
    """
    # The lock first: versions are made one at a time, and labels counted after it stay as they are.
    taxonomy = lock_taxonomy(unit.connection)
    handled = outcome_of(unit.connection, request.request_id)
    if handled is not None:  # by another replica, while this one waited for the lock
        return handled[1]
    counts = label_counts(unit.connection)
    return _make(unit, taxonomy, counts, _judged(taxonomy, _labels(counts), request), request, at)


def _judged(taxonomy: Taxonomy, labels: set[str], request: Request) -> Change:
    match request:
        case MergeClasses():
            return judge.merge(taxonomy, labels, request.into, request.members)
        case SplitClass():
            return judge.split(taxonomy, request.class_name)
        case RenameClass():
            return judge.rename(taxonomy, labels, request.old, request.new)
        case UndoTaxonomy():
            return judge.inverse(taxonomy, request.version)


def _labels(counts: Sequence[LabelCount]) -> set[str]:
    return {count.label for count in counts if count.label is not None}


def _make(
    unit: Unit,
    taxonomy: Taxonomy,
    counts: Sequence[LabelCount],
    change: Change,
    request: Request,
    at: datetime,
) -> dict[str, Any]:
    """The next version, what follows from it, and the event that tells it."""
    undoes = request.version if isinstance(request, UndoTaxonomy) else None
    operation = Operation(
        version=taxonomy.version + 1,
        change=change,
        undoes=undoes,
        by=request.by,
        reason=request.reason,
        at=at,
    )
    add_operation(unit.connection, operation)
    concerns = judge.concerned(taxonomy.at(taxonomy.version), change)
    concerned = [count for count in counts if count.label is not None and concerns(count.label, count.kind)]
    match change:
        case Rename():
            _relabel(unit, change, request, at)
        case Split():
            _double_check(unit, operation, _labels(concerned))
        case Merge() if undoes is not None:
            close_split_checks(unit, undoes, request.by, at)
    images = sum(count.images for count in concerned)
    unit.emit(TaxonomyChanged(version=operation.version, operation=operation, images=images, changed_at=at))
    return {"version": operation.version, "images": images, "change": change.model_dump(mode="json")}


def _relabel(unit: Unit, change: Rename, request: Request, at: datetime) -> None:
    why = f"rename {change.old!r} to {change.new!r}" + (f": {request.reason}" if request.reason else "")
    said = relabel(unit.connection, change, request.request_id, request.by, why[:LONGEST_REASON], at)
    for message in said:
        unit.emit(message)


def _double_check(unit: Unit, operation: Operation, labels: set[str]) -> None:
    assert isinstance(operation.change, Split)
    why = f"split of {operation.change.class_name!r}" + (f": {operation.reason}" if operation.reason else "")
    open_double_checks(
        unit, images_labelled(unit.connection, labels), operation.by, why[:LONGEST_REASON], operation.at,
        taxonomy_version=operation.version,
    )  # fmt: skip
