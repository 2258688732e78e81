"""What an upstream system may announce: objects in the buckets that are there for it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from services.ingest.reception.presigned import PREFIX
from services.ingest.store.uploads import noted_uploads

BUCKETS = (Buckets.INCOMING, Buckets.DROP)


def refusal(connection: sa.Connection, uploads: Sequence[ImageUploaded]) -> str | None:
    """Why one of ``uploads`` can never be taken in, or None.

    No other bucket is read for an uploader, nor a presigned upload that its own confirmation takes
    in; and an upload id that was used for other bytes would else hide these.
    """
    for item in uploads:
        ref = item.object
        if ref.bucket not in BUCKETS or (ref.bucket == Buckets.INCOMING and ref.key.startswith(PREFIX)):
            place = f"{ref.bucket}/{ref.key[:200]}"
            return (
                f"upload {item.upload_id}: the object {place} is none of an uploader's; put the file into "
                f"bucket {Buckets.INCOMING} or {Buckets.DROP} and announce it there"
            )
    wanted = noted_uploads(connection, {item.upload_id for item in uploads})
    for item in uploads:
        if wanted.setdefault(item.upload_id, item.object.sha256) != item.object.sha256:
            return f"upload_id {item.upload_id} was used before for another file; make a new one"
    return None
