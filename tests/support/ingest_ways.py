"""The ways into the library, and one set of files that goes in through each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.notifications import BucketNotified
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, StoredObject
from tests.support.ingest_house import AT, MemoryStore
from tests.support.pictures import HOSTILE_NAMES, bad_input, encoded, noise

SAID = (
    "label",
    "label_kind",
    "source",
    "guest",
    "visit",
    "taken_at",
    "upstream_id",
    "benchmark",
    "uploaded_by",
)


@dataclass(frozen=True)
class GivenFile:
    """A file with all that its uploader says of it, as JSON; ``number`` orders the uploads."""

    number: int
    name: str
    data: bytes
    said: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def upload_id(self) -> str:
        """Made by the uploader, where the way in lets it."""
        return f"given-{self.number:06d}"

    @property
    def meta(self) -> dict[str, Any]:
        """What HTTP takes in ``meta``."""
        return {"upload_id": self.upload_id, "file_name": self.name, "tags": list(self.tags), **self.said}

    @property
    def query(self) -> list[tuple[str, str]]:
        """What HTTP takes in a query."""
        return [("upload_id", self.upload_id), *self.said.items(), *(("tag", tag) for tag in self.tags)]

    @property
    def headers(self) -> dict[str, str]:
        """What S3 takes as user metadata: percent-encoded, a tag's commas too."""
        said = {name.replace("_", "-"): quote(str(value)) for name, value in self.said.items()}
        return {**said, **({"tags": ",".join(quote(tag) for tag in self.tags)} if self.tags else {})}

    def event(self, ref: ObjectRef) -> ImageUploaded:
        """What an upstream system announces."""
        return ImageUploaded.model_validate(
            {"upload_id": self.upload_id, "object": ref, "file_name": self.name, "uploaded_at": AT,
             "tags": self.tags, **self.said}
        )  # fmt: skip


def given_files() -> list[GivenFile]:
    """40 files: pictures with all kinds of metadata, copies by bytes and by pixels, broken ones."""
    pictures = [noise(24, 18, seed) for seed in range(18)]
    said: list[dict[str, Any]] = [
        {"label": "flamingo/juvenile", "guest": "g-1", "visit": "v-1"},
        {"label": "Unknown Bird", "guest": "Zoë Ångström", "visit": "2026-05-01 / a+b & c"},
        {"label": "Löwe 100% \N{LION FACE}", "label_kind": "unknown", "uploaded_by": "bob <b@example.org>"},
        {"label": "popcorn", "label_kind": "out-of-scope", "source": "staged"},
        {"label": "blurry", "label_kind": "rejected", "upstream_id": "zoo:7/8?x=9"},
        {"label": "otter", "taken_at": "2026-05-01T09:30:00+02:00", "source": "synthetic"},
        {"benchmark": "difficult", "label": "otter", "upstream_id": "o-6"},
        {"taken_at": "2024-02-29T23:59:59.250000Z"},
        {"uploaded_by": "x" * 200, "label": "<img src=x onerror=alert(1)>"},
    ]
    tags = [(), ("night", "rain, heavy"), ("été",), ("a=b&c", "50%", "+plus")]
    files = [
        GivenFile(n, f"{n:02d}-{_name(n)}", encoded(picture), said[n] if n < len(said) else {}, tags[n % 4])
        for n, picture in enumerate(pictures)
    ]
    copies = [(0, "PNG"), (1, "PNG"), (2, "BMP"), (9, "TIFF"), (10, "BMP"), (10, "PNG"), (11, "PNG")]
    for seed, kind in copies:  # the first label of an image may come with a copy, and no label overrules one
        n = len(files)
        files.append(
            GivenFile(n, f"{n:02d}-copy.{kind.lower()}", encoded(pictures[seed], kind), {"label": "otter"})
        )
    for name, (data, _) in list(bad_input().items())[:15]:
        n = len(files)
        files.append(GivenFile(n, f"{n:02d}-{name}", data, {"label": "broken"}))
    return files


def _name(number: int) -> str:
    """Odd, and still a key that an S3 server takes."""
    name = HOSTILE_NAMES[number] if number < len(HOSTILE_NAMES) else "plain + 100%.png"
    odd = name.replace("\0", "%00").replace("..", "%2e%2e").replace("\n", "%0A").replace("\\", "¥")
    return "/".join(part for part in odd.split("/") if part)[:60] or "empty"


def notification(
    *keys: str, event: str = "s3:ObjectCreated:Put", bucket: str = Buckets.DROP
) -> dict[str, Any]:
    """What MinIO says, with all its fields."""
    return {
        "EventName": event,
        "Key": f"{bucket}/{keys[0] if keys else ''}",
        "Records": [
            {
                "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2026-11-21T12:00:00.123Z",
                "eventName": event, "userIdentity": {"principalId": "upstream"},
                "requestParameters": {"principalId": "upstream", "region": "", "sourceIPAddress": "10.0.0.7"},
                "responseElements": {"x-amz-request-id": "17C9", "x-minio-origin-endpoint": "http://10.0.0.2:9000"},
                "s3": {
                    "s3SchemaVersion": "1.0", "configurationId": "Config",
                    "bucket": {"name": bucket, "ownerIdentity": {"principalId": "upstream"}, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {
                        "key": quote(key, safe="").replace("%20", "+"), "size": 5, "eTag": "5d41", "contentType": "image/png",
                        "userMetadata": {"content-type": "image/png", "X-Amz-Meta-Label": "otter"}, "sequencer": "17C9A",
                    },
                },
                "source": {"host": "10.0.0.7", "port": "", "userAgent": "MinIO (linux; amd64)"},
            }
            for key in keys
        ],
    }  # fmt: skip


def notified(*keys: str, **changes: str) -> BucketNotified:
    """As ingest hears it."""
    return BucketNotified.model_validate(notification(*keys, **changes))


class BucketStore(MemoryStore):
    """An object store in memory that tells of its objects as a server does."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[tuple[str, str], datetime] = {}
        self.metadata: dict[tuple[str, str], dict[str, str]] = {}
        self.large: dict[tuple[str, str], int] = {}
        """Sizes that are pretended."""
        self.listings = 0

    def drop(
        self, key: str, data: bytes, at: datetime = AT, bucket: str = Buckets.DROP, **metadata: str
    ) -> None:
        """What an upstream system does."""
        self.objects[bucket, key] = data
        self.changed[bucket, key] = at
        self.metadata[bucket, key] = {name.replace("_", "-"): value for name, value in metadata.items()}

    def stat(self, bucket: str, key: str) -> StoredObject:
        if (bucket, key) not in self.objects:
            raise ObjectMissing(f"{bucket}/{key}")
        data = self.objects[bucket, key]
        return StoredObject(
            key,
            self.large.get((bucket, key), len(data)),
            hashlib.md5(data).hexdigest(),
            self.changed.get((bucket, key), datetime.now(UTC)),
            self.metadata.get((bucket, key), {}),
        )

    def entries(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        self.listings += 1
        for place, key in sorted(self.objects):
            if place == bucket and key.startswith(prefix):
                yield self.stat(bucket, key)

    def stream(self, bucket: str, key: str, etag: str | None = None) -> Iterator[bytes]:
        if etag is not None and self.stat(bucket, key).etag != etag:
            raise ObjectDamaged(f"{bucket}/{key} was replaced")
        if (bucket, key) not in self.objects:
            raise ObjectMissing(f"{bucket}/{key}")
        data = self.objects[bucket, key]
        self.log.append(f"read {bucket}")
        yield from (data[start : start + 100_000] for start in range(0, len(data), 100_000))

    def remove(self, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key), None)

    def presigned_put(self, bucket: str, key: str, valid_s: int, endpoint: str | None = None) -> str:
        return f"http://{endpoint or 'store'}/{bucket}/{key}?valid_s={valid_s}"


def keys_of(store: BucketStore, bucket: str, prefix: str = "") -> Sequence[str]:
    """Keys that a bucket has."""
    return [key for place, key in sorted(store.objects) if place == bucket and key.startswith(prefix)]
