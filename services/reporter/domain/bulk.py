"""Projections of the streams BULK and DEAD_LETTERS."""

from __future__ import annotations

from contracts.events import BulkCompleted, BulkIdentified, DeadLetterReplayed, DeadLetterStored
from services.reporter.domain.changes import Change, Part, change

IDENTIFICATION = Part("identification", "fct_identifications", ("run_id", "image_id"))
BULK_RUN = Part("bulk-run", "fct_bulk_runs", ("run_id",))
DEAD_LETTER = Part("stored", "fct_dead_letters", ("dead_letter_id",), ("stored_event_seq",))
REPLAY = Part("replayed", "fct_dead_letters", ("dead_letter_id",), ("replayed_event_seq",))


def bulk_identified(event: BulkIdentified, seq: int) -> tuple[Change, ...]:
    """One row per image of the page, its best candidate in columns of its own."""
    return tuple(
        change(
            IDENTIFICATION,
            (event.run_id, result.image_id),
            (seq,),
            {
                "page": event.page,
                "model_version": event.model_version,
                "label": result.top[0].label,
                "confidence": result.top[0].confidence,
                "candidates": result.top,
                "identified_at": event.identified_at,
            },
        )
        for result in event.results
    )


def bulk_completed(event: BulkCompleted, seq: int) -> tuple[Change, ...]:
    """The run's own count of what it did."""
    values = {
        "model_version": event.model_version,
        "snapshot_id": event.snapshot_id,
        "identified": event.identified,
        "above_threshold": event.above_threshold,
        "threshold": event.threshold,
        "completed_at": event.completed_at,
    }
    return (change(BULK_RUN, (event.run_id,), (seq,), values),)


def dead_letter_stored(event: DeadLetterStored, seq: int) -> tuple[Change, ...]:
    """A message that was put aside; storing it again after a replay opens it again."""
    values = event.model_dump(exclude={"dead_letter_id", "truncated"}) | {"is_truncated": event.truncated}
    return (change(DEAD_LETTER, (event.dead_letter_id,), (seq,), values),)


def dead_letter_replayed(event: DeadLetterReplayed, seq: int) -> tuple[Change, ...]:
    """The newest replay."""
    values = {"replayed_by": event.by, "replayed_at": event.replayed_at}
    return (change(REPLAY, (event.dead_letter_id,), (seq,), values),)
