"""Buckets of the object store."""

from __future__ import annotations

import io

import urllib3
from minio import Minio

from contracts.manifests import Buckets
from deploy.provision.changes import Change
from services.runtime.objectstore import ObjectMissing, ObjectStore
from services.runtime.settings import RuntimeSettings

PROBE_BUCKET = "health"
PROBE_KEY = "ready"
PROBE_TIMEOUT_S = 5.0


def provision_buckets(store: ObjectStore) -> list[Change]:
    """Make the missing ones."""
    return [Change("bucket", bucket) for bucket in Buckets.ALL if _make_missing(store, bucket)]


def prove_writable(settings: RuntimeSettings) -> None:
    """A signed PUT; an S3 server may answer on its port long before it takes one.

    Raises:
        Exception: whatever the SDK, urllib3 or the operating system raised.
    """
    client = Minio(
        settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=settings.s3_secure,
        region="us-east-1",
        # No retries of its own: their growing pauses would outlast the server's start.
        http_client=urllib3.PoolManager(timeout=PROBE_TIMEOUT_S, retries=False),
    )
    if not client.bucket_exists(PROBE_BUCKET):
        client.make_bucket(PROBE_BUCKET)
    client.put_object(PROBE_BUCKET, PROBE_KEY, io.BytesIO(b"ready"), len(b"ready"))


def _make_missing(store: ObjectStore, bucket: str) -> bool:
    try:
        store.ping(bucket)
    except ObjectMissing:
        store.ensure_bucket(bucket)
        return True
    return False
