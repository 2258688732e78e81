"""The events that tell an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts.events import (
    ImageAccepted,
    ImageFlagged,
    ImageLabelled,
    ImageRejected,
    ImageRelabelled,
    ImageRepeated,
    ImageUnlabelled,
)
from contracts.values import ImageId, ObjectRef, Suggestion
from services.ingest.domain.benchmarks import benchmark_name
from services.ingest.domain.intake import Accepted, Rejected, Repeated
from services.ingest.domain.labels import LabelChange


@dataclass(frozen=True)
class PictureObjects:
    """Where a normalised picture and its thumbnail were put."""

    normalised: ObjectRef
    thumbnail: ObjectRef


@dataclass(frozen=True)
class LabelFact:
    """A label change with who made it, when, why, together with what, and what a model had offered."""

    image_id: ImageId
    change: LabelChange
    by: str
    at: datetime
    reason: str | None = None
    change_id: str | None = None
    suggestion: Suggestion | None = None


def accepted(outcome: Accepted, objects: PictureObjects, at: datetime) -> ImageAccepted:
    """The library has a new image."""
    upload, picture = outcome.upload, outcome.picture
    return ImageAccepted(
        image_id=upload.object.sha256,
        upload_id=upload.upload_id,
        file_name=upload.file_name,
        original=upload.object,
        normalised=objects.normalised,
        thumbnail=objects.thumbnail,
        content=picture.content,
        width_px=picture.width_px,
        height_px=picture.height_px,
        image_format=picture.image_format,
        source=upload.source,
        guest=upload.guest,
        taken_at=upload.taken_at,
        benchmark=benchmark_name(upload.benchmark),
        accepted_at=at,
        visit=upload.visit,
        tags=upload.tags,
        upstream_id=upload.upstream_id,
        quality=picture.quality,
    )


def flagged(outcome: Accepted, at: datetime) -> ImageFlagged | None:
    """What may be wrong with the new image; None when nothing is."""
    if not outcome.picture.flags:
        return None
    return ImageFlagged(
        image_id=outcome.upload.object.sha256, revision=1, flags=outcome.picture.flags, flagged_at=at
    )


def repeated(outcome: Repeated, at: datetime) -> ImageRepeated:
    """The library has the image already."""
    upload = outcome.upload
    return ImageRepeated(
        upload_id=upload.upload_id,
        image_id=outcome.image_id,
        file_name=upload.file_name,
        same=outcome.same,
        repeated_at=at,
    )


def rejected(outcome: Rejected, at: datetime) -> ImageRejected:
    """The upload is of no use, and why."""
    upload = outcome.upload
    return ImageRejected(
        upload_id=upload.upload_id,
        file_name=upload.file_name,
        code=outcome.rejection.code,
        detail=outcome.rejection.detail,
        rejected_at=at,
    )


def labelled(fact: LabelFact) -> ImageLabelled | ImageUnlabelled:
    """The image has its first label, another one than before, or none any more."""
    change = fact.change
    shared = {
        "image_id": fact.image_id,
        "revision": change.revision,
        "by": fact.by,
        "reason": fact.reason,
        "change_id": fact.change_id,
    }
    if change.text is None:
        return ImageUnlabelled(**shared, previous_label=change.previous, unlabelled_at=fact.at)
    told = ImageLabelled(
        **shared, label=change.text, kind=change.kind, labelled_at=fact.at, suggestion=fact.suggestion
    )
    if change.previous is None:
        return told
    return ImageRelabelled(**dict(told), previous_label=change.previous)
