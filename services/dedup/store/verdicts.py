"""The newest verdict of each image; every change of it is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from contracts.events import ImageDeduplicated
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.domain.groups import Judgement
from services.dedup.store.images import StoredImage
from services.dedup.store.tables import verdict
from services.runtime.database import Unit, upsert


def save_verdicts(unit: Unit, judged: Iterable[tuple[StoredImage, Judgement]], at: datetime) -> int:
    """Write and emit the judgements that differ from the stored ones; returns how many do."""
    rows = []
    for image, judgement in judged:
        if judgement == image.judgement:
            continue
        event = ImageDeduplicated(
            image_id=image.image_id,
            revision=image.revision + 1,
            verdict=judgement.verdict,
            group=judgement.group,
            duplicate_of=judgement.duplicate_of,
            distance_bits=judgement.distance_bits,
            detector=DETECTOR,
            deduplicated_at=at,
            orientation=judgement.orientation,
            by=judgement.by,
        )
        unit.emit(event)
        rows.append(
            {
                "image_id": event.image_id,
                "revision": event.revision,
                "verdict": event.verdict.value,
                "group_id": event.group,
                "duplicate_of": event.duplicate_of,
                "distance_bits": event.distance_bits,
                "orientation": event.orientation.value,
                "by": event.by,
            }
        )
    upsert(unit.connection, verdict, rows)
    return len(rows)
