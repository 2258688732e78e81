"""Giving images labels."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import AssignLabel
from contracts.values import ImageId, LabelKind
from services.ingest.domain import facts
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.faults import ActionRefused, ImageNotYetKnown
from services.ingest.domain.labels import ImageLabel, change
from services.ingest.store import labels, uploads
from services.runtime.database import Unit


def assign(unit: Unit, request: AssignLabel, at: datetime) -> dict[str, Any]:
    """Give an image a label, or another one."""
    image_id = request.image_id
    current = known_labels(unit.connection, [image_id])
    made = change(current[image_id], request.label, request.kind)
    if made is None:
        return {"changed": 0}
    fact = LabelFact(image_id, made, request.by, at, request.reason)
    labels.write_labels(unit.connection, [fact])
    unit.emit(facts.labelled(fact))
    return {"changed": 1}


def known_labels(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, ImageLabel]:
    """Labels of the images, locked.

    Raises:
        ActionRefused: an image is not in the library.
        ImageNotYetKnown: it is uploaded and not yet decoded.
    """
    wanted = set(image_ids)
    current = labels.lock_labels(connection, wanted)
    missing = sorted(wanted - current.keys())
    if uploads.unsettled_images(connection, missing):
        raise ImageNotYetKnown(f"image {missing[0]} is uploaded and not yet decoded; retry later")
    if missing:
        raise ActionRefused(
            404, f"no image {missing[0]} in the library; `menagerie images` lists those it has"
        )
    return current


def label_uploads(
    connection: sa.Connection,
    offers: Iterable[tuple[ImageId, str, LabelKind | None, str]],
    at: datetime,
) -> list[LabelFact]:
    """First labels of just uploaded images: (image, label, kind, by); no offer overrules a label."""
    offered = list(offers)
    current = labels.lock_labels(connection, {image_id for image_id, _, _, _ in offered})
    made: dict[ImageId, LabelFact] = {}
    for image_id, label, kind, by in offered:
        if image_id in made or current[image_id].revision:
            continue
        first = change(ImageLabel(None, None, 0), label, kind)
        if first is not None:
            made[image_id] = LabelFact(image_id, first, by, at)
    labels.write_labels(connection, list(made.values()))
    return list(made.values())
