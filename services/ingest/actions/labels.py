"""Giving images labels, and taking that back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import AssignLabel, AssignLabels, UndoLabels
from contracts.values import DoubleCheckVerdict, ImageId, LabelKind
from services.ingest.actions.double_checks import close_double_checks
from services.ingest.actions.images import known_labels
from services.ingest.domain import facts
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.labels import ImageLabel, change, kind_of, undone
from services.ingest.store import labels, suggestions
from services.ingest.store.taxonomy import current_taxonomy, resolve_label
from services.runtime.database import Unit


@dataclass(frozen=True)
class UploadedLabel:
    """What an uploader says of an image."""

    image_id: ImageId
    label: str
    kind: LabelKind | None
    by: str
    upload_id: str


def assign(unit: Unit, request: AssignLabel, at: datetime) -> dict[str, Any]:
    """Give an image a label, or another one."""
    return _assign(unit, request, [request.image_id], at)


def assign_many(unit: Unit, request: AssignLabels, at: datetime) -> dict[str, Any]:
    """Give many images one label, all or none."""
    return _assign(unit, request, request.image_ids, at)


def undo(unit: Unit, request: UndoLabels, at: datetime) -> dict[str, Any]:
    """Bring back what ``change_id`` changed; being a change itself, it can be undone in turn."""
    changes = labels.ordered_together(unit.connection, request.change_id)
    if not changes:
        raise ActionRefused(
            404, f"no label was changed under change_id {request.change_id!r}; an image's history tells them"
        )
    taxonomy = current_taxonomy(unit.connection)
    current = labels.lock_labels(unit.connection, changes)
    told = []
    for image_id, label in current.items():
        made = undone(label, changes[image_id])
        if made is not None and made.text is not None:
            # Back to what it was, under the name that has today.
            made = change(label, taxonomy.todays_label(made.text), made.kind)
        if made is not None:
            reason = request.reason or f"undo of {request.change_id}"
            told.append(LabelFact(image_id, made, request.by, at, reason, request.request_id))
    _tell(unit, told)
    return {"changed": len(told), "left": len(changes) - len(told)}


def label_uploads(
    connection: sa.Connection, offers: Iterable[UploadedLabel], at: datetime
) -> list[LabelFact]:
    """First labels of just uploaded images; no offer overrules a label, nor a person who took it away."""
    offered = list(offers)
    if not offered:
        return []
    taxonomy = current_taxonomy(connection)
    current = labels.lock_labels(connection, {offer.image_id for offer in offered})
    made: dict[ImageId, LabelFact] = {}
    for offer in offered:
        if offer.image_id in made or current[offer.image_id].revision:
            continue
        kind = offer.kind or kind_of(offer.label)
        first = change(ImageLabel(None, None, 0), taxonomy.todays_label(offer.label), kind)
        if first is not None:
            made[offer.image_id] = LabelFact(offer.image_id, first, offer.by, at, change_id=offer.upload_id)
    labels.write_labels(connection, list(made.values()))
    return list(made.values())


def _assign(
    unit: Unit, request: AssignLabel | AssignLabels, image_ids: Sequence[ImageId], at: datetime
) -> dict[str, Any]:
    connection = unit.connection
    kind = request.kind or kind_of(request.label)
    label = resolve_label(connection, request.label)
    current = known_labels(connection, image_ids)
    offered = suggestions.suggestions_of(connection, current)
    if isinstance(request, AssignLabel) and request.suggestion is not None:
        offered[request.image_id] = request.suggestion
    told, verdicts = [], {}
    for image_id in current:
        made = change(current[image_id], label, kind)
        verdicts[image_id] = DoubleCheckVerdict.KEEP if made is None else DoubleCheckVerdict.RELABEL
        if made is not None:
            change_id = request.change_id or request.request_id
            shown = offered.get(image_id)
            told.append(LabelFact(image_id, made, request.by, at, request.reason, change_id, shown))
    if kind == LabelKind.REJECTED:
        verdicts = dict.fromkeys(current, DoubleCheckVerdict.REMOVE)
    _tell(unit, told)
    close_double_checks(unit, verdicts, request.by, request.reason, at)
    return {"changed": len(told)}


def _tell(unit: Unit, told: Sequence[LabelFact]) -> None:
    labels.write_labels(unit.connection, told)
    for fact in told:
        unit.emit(facts.labelled(fact))
