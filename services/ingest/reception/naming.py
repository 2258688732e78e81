"""Upload ids that are made here: ULIDs, of chance or of what an object is."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from contracts.values import UploadId
from services.runtime.objectstore import StoredObject

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
LENGTH = 26
RANDOM_BYTES = 10


def new_upload_id(at: datetime) -> UploadId:
    """An id for an uploader that brought none."""
    return _ulid(int(at.timestamp() * 1000), secrets.token_bytes(RANDOM_BYTES))


def drop_upload_id(bucket: str, found: StoredObject) -> UploadId:
    """The id of an object that somebody dropped: the same each time it is heard of or listed.

    Its time is that of the last change in whole seconds (a HEAD knows no more), its 80 random bits
    the first of SHA-256 over bucket, key and ETag, so that a replaced object is another upload.
    """
    digest = hashlib.sha256(f"{bucket}\0{found.key}\0{found.etag}".encode()).digest()
    return _ulid(int(found.last_modified.timestamp()) * 1000, digest[:RANDOM_BYTES])


def _ulid(time_ms: int, random_bytes: bytes) -> UploadId:
    value = (time_ms << (8 * RANDOM_BYTES)) | int.from_bytes(random_bytes)
    digits = []
    for _ in range(LENGTH):
        value, rest = divmod(value, 32)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
