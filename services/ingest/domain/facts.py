"""The events that tell an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts.events import ImageAccepted, ImageLabelled, ImageRejected, ImageRelabelled, ImageRepeated
from contracts.values import ImageId, ObjectRef
from services.ingest.domain.intake import Accepted, Rejected, Repeated
from services.ingest.domain.labels import LabelChange


@dataclass(frozen=True)
class PictureObjects:
    """Where a normalised picture and its thumbnail were put."""

    normalised: ObjectRef
    thumbnail: ObjectRef


@dataclass(frozen=True)
class LabelFact:
    """A label change with who made it, when and why."""

    image_id: ImageId
    change: LabelChange
    by: str
    at: datetime
    reason: str | None = None


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
        benchmark=upload.benchmark,
        accepted_at=at,
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


def labelled(fact: LabelFact) -> ImageLabelled:
    """The image has its first label, or another one than before."""
    change = fact.change
    told = ImageLabelled(
        image_id=fact.image_id,
        revision=change.revision,
        label=change.text,
        kind=change.kind,
        by=fact.by,
        reason=fact.reason,
        labelled_at=fact.at,
    )
    if change.previous is None:
        return told
    return ImageRelabelled(**told.model_dump(), previous_label=change.previous)
