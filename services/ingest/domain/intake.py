"""The one outcome of every upload: accepted, repeated or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.events import ImageUploaded
from contracts.values import ImageId, RejectCode
from services.ingest.domain.picture import Normalised, Rejection


@dataclass(frozen=True)
class Accepted:
    """A new image of the library."""

    upload: ImageUploaded
    picture: Normalised


@dataclass(frozen=True)
class Repeated:
    """Another upload of an image the library has, perhaps from earlier in the same batch."""

    upload: ImageUploaded
    image_id: ImageId
    same: Literal["bytes", "pixels"]


@dataclass(frozen=True)
class Rejected:
    """Not a usable image."""

    upload: ImageUploaded
    rejection: Rejection


Outcome = Accepted | Repeated | Rejected


def settle(
    uploads: Sequence[ImageUploaded],
    decoded: Mapping[ImageId, Normalised | Rejection],
    known: frozenset[ImageId],
    by_pixels: Mapping[str, ImageId],
) -> list[Outcome]:
    """One outcome per upload, in order of upload id.

    ``decoded`` has the result for every image id that is not ``known``; ``by_pixels`` names the
    library's image of a pixel digest. Of several copies one is accepted, so how many are accepted
    depends on the set of uploads alone.
    """
    here: set[ImageId] = set(known)
    pixels = dict(by_pixels)
    outcomes: list[Outcome] = []
    for upload in sorted(uploads, key=lambda upload: upload.upload_id):
        image_id = upload.object.sha256
        if image_id in here:
            outcomes.append(Repeated(upload, image_id, "bytes"))
            continue
        result = decoded[image_id]
        if isinstance(result, Rejection):
            outcomes.append(Rejected(upload, result))
        elif result.pixel_sha256 in pixels:
            outcomes.append(Repeated(upload, pixels[result.pixel_sha256], "pixels"))
        else:
            here.add(image_id)
            pixels[result.pixel_sha256] = image_id
            outcomes.append(Accepted(upload, result))
    return outcomes


def refused_unread(size_bytes: int, max_bytes: int) -> Rejection | None:
    """The rejection that an object's size alone decides; its bytes need not be fetched."""
    if size_bytes == 0:
        return Rejection(RejectCode.EMPTY, "the file has no bytes; upload it again")
    if size_bytes > max_bytes:
        return Rejection(
            RejectCode.TOO_LARGE, f"{size_bytes} bytes are more than {max_bytes}; upload a smaller copy"
        )
    return None
