"""Second opinions: they change no label, and they show where people disagree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.commands import GiveOpinion
from contracts.events import OpinionGiven
from services.ingest.actions.images import known_labels
from services.ingest.domain.labels import Opinion, agrees, kind_of
from services.ingest.store import opinions
from services.ingest.store.taxonomy import resolve_label
from services.runtime.database import Unit


def give_opinion(unit: Unit, request: GiveOpinion, at: datetime) -> dict[str, Any]:
    """Keep what a person thinks an image shows, and tell whether the label says the same."""
    connection = unit.connection
    kind = request.kind or kind_of(request.label)
    opinion = Opinion(request.by, resolve_label(connection, request.label), kind)
    current = known_labels(connection, [request.image_id])[request.image_id]
    given = OpinionGiven(
        image_id=request.image_id,
        revision=opinions.newest_revision(connection, request.image_id) + 1,
        label=opinion.text,
        kind=opinion.kind,
        by=opinion.by,
        current_label=current.text,
        agrees=agrees(current, opinion),
        reason=request.reason,
        given_at=at,
    )
    opinions.keep_opinion(connection, given)
    unit.emit(given)
    return {"agrees": given.agrees, "current_label": given.current_label}
