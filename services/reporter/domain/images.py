"""Projections of uploads and images (stream IMAGES)."""

from __future__ import annotations

from contracts.events import (
    ImageAccepted,
    ImageFlagged,
    ImageRejected,
    ImageRepeated,
    ImageUploaded,
)
from services.reporter.domain.changes import Change, Part, change

UPLOADED = Part("uploaded", "fct_uploads", ("upload_id",), ("uploaded_event_seq",))
OUTCOME = Part("outcome", "fct_uploads", ("upload_id",), ("outcome_event_seq",))
ACCEPTED = Part("accepted", "dim_images", ("image_id",), ("accepted_event_seq",))
FLAGS = Part("flags", "dim_images", ("image_id",), ("flag_revision", "flag_event_seq"))
FLAG = Part("flag", "fct_image_flags", ("image_id", "revision", "flag"))
BENCHMARK = Part("benchmark", "dim_images", ("image_id",), ("benchmark_revision", "benchmark_event_seq"))


def uploaded(event: ImageUploaded, seq: int) -> tuple[Change, ...]:
    """The upload as its uploader described it; its outcome may already be there."""
    values = {
        "file_name": event.file_name,
        "source": event.source,
        "guest": event.guest,
        "benchmark": event.benchmark,
        "upstream_id": event.upstream_id,
        "offered_label": event.label,
        "uploaded_by": event.uploaded_by,
        "taken_at": event.taken_at,
        "uploaded_at": event.uploaded_at,
        "size_bytes": event.object.size,
        "content_sha256": event.object.sha256,
    }
    return (change(UPLOADED, (event.upload_id,), (seq,), values),)


def accepted(event: ImageAccepted, seq: int) -> tuple[Change, ...]:
    """A new image of the library, and the end of its upload."""
    values = {
        "upload_id": event.upload_id,
        "file_name": event.file_name,
        "source": event.source,
        "guest": event.guest,
        "visit": event.visit,
        "tags": event.tags,
        "upstream_id": event.upstream_id,
        "taken_at": event.taken_at,
        "accepted_at": event.accepted_at,
        "quality": {measure.name: measure.value for measure in event.quality},
        "image_format": event.image_format,
        "width_px": event.width_px,
        "height_px": event.height_px,
        "original_bucket": event.original.bucket,
        "original_key": event.original.key,
        "original_size_bytes": event.original.size,
        "normalised_bucket": event.normalised.bucket,
        "normalised_key": event.normalised.key,
        "thumbnail_bucket": event.thumbnail.bucket,
        "thumbnail_key": event.thumbnail.key,
        "thumbnail_size_bytes": event.thumbnail.size,
        "thumbnail_sha256": event.thumbnail.sha256,
    }
    ended = _outcome("accepted", event.file_name, event.image_id)
    return (
        change(ACCEPTED, (event.image_id,), (seq,), values),
        # Every later assignment has a revision of its own, from 1.
        change(BENCHMARK, (event.image_id,), (0, seq), {"benchmark": event.benchmark}),
        change(OUTCOME, (event.upload_id,), (seq,), ended | {"outcome_at": event.accepted_at}),
    )


def repeated(event: ImageRepeated, seq: int) -> tuple[Change, ...]:
    """The upload ended as an exact duplicate."""
    ended = _outcome("repeated", event.file_name, event.image_id)
    ended |= {"code": f"same-{event.same}", "outcome_at": event.repeated_at}
    return (change(OUTCOME, (event.upload_id,), (seq,), ended),)


def rejected(event: ImageRejected, seq: int) -> tuple[Change, ...]:
    """The upload ended outside the library, with the reason."""
    ended = _outcome("rejected", event.file_name, None)
    ended |= {"code": event.code, "detail": event.detail, "outcome_at": event.rejected_at}
    return (change(OUTCOME, (event.upload_id,), (seq,), ended),)


def flagged(event: ImageFlagged, seq: int) -> tuple[Change, ...]:
    """The flags of the highest revision stand."""
    names = {"flags": [flag.flag for flag in event.flags]}
    return (
        change(FLAGS, (event.image_id,), (event.revision, seq), names),
        *(
            change(
                FLAG,
                (event.image_id, event.revision, flag.flag),
                (seq,),
                {"value": flag.value, "threshold": flag.threshold, "flagged_at": event.flagged_at},
            )
            for flag in event.flags
        ),
    )


def _outcome(outcome: str, file_name: str, image_id: str | None) -> dict[str, object]:
    return {
        "outcome": outcome,
        "outcome_file_name": file_name,
        "image_id": image_id,
        "code": None,
        "detail": None,
    }
