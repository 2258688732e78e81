"""What an S3 server says of its buckets: MinIO's event JSON, as it arrives, without our headers."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from contracts.message import Message
from contracts.values import Value


class NotifiedObject(Value):
    """The object of a record; ``key`` is URL-encoded as in a form (``+`` is a space)."""

    model_config = ConfigDict(serialize_by_alias=True)

    key: str
    size: int | None = None
    etag: str | None = Field(default=None, alias="eTag")


class NotifiedBucket(Value):
    """The bucket of a record."""

    name: str


class NotifiedS3(Value):
    """The part of a record that names bucket and object."""

    bucket: NotifiedBucket
    object: NotifiedObject


class NotificationRecord(Value):
    """One change of a bucket."""

    model_config = ConfigDict(serialize_by_alias=True)

    event_name: str = Field(alias="eventName")
    event_time: str | None = Field(default=None, alias="eventTime")
    s3: NotifiedS3


class BucketNotified(Message):
    """Objects appeared in, or left, a bucket. Said by the S3 server, heard by ingest.

    The server sets no headers: copies are told apart by what the bucket holds under the key.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name = "bucket.notified"
    key_fields = ("records",)

    records: tuple[NotificationRecord, ...] = Field(alias="Records")
