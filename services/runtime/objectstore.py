"""The object store: S3 through the MinIO SDK, whichever server answers."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import urllib3
from minio import Minio
from minio.error import S3Error

from contracts.values import ObjectRef
from services.runtime.durability import SyncBarrier
from services.runtime.settings import RuntimeSettings

T = TypeVar("T")

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60.0
"""Also bounds sending the body (urllib3 counts it as connecting); large puts need it long."""
CONNECTIONS = 16
MISSING = {"NoSuchKey", "NoSuchObject", "NoSuchBucket"}


class ObjectMissing(Exception):
    """A message refers to an object that the store does not have."""


class ObjectDamaged(Exception):
    """The bytes read are not the bytes referred to."""


class ObjectStore:
    """Synchronous and thread-safe; from a handler: ``await asyncio.to_thread(store.get, ref)``."""

    def __init__(self, settings: RuntimeSettings) -> None:
        retries = urllib3.Retry(
            total=4,
            backoff_factor=0.2,
            backoff_jitter=0.1,
            status_forcelist=[500, 502, 503, 504],
            allowed_methods=None,  # puts are by content or by a key only we write: safe to repeat
        )
        self._client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=settings.s3_secure,
            region="us-east-1",  # named, or the SDK asks the server before the first request
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S),
                retries=retries,
                maxsize=CONNECTIONS,
                cert_reqs="CERT_REQUIRED",
            ),
        )
        self._barrier = SyncBarrier(settings.s3_sync_dir) if settings.s3_sync_dir else None

    def put(
        self, bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> ObjectRef:
        """Store ``data``; visible whole or not at all."""
        self._client.put_object(bucket, key, io.BytesIO(data), len(data), content_type=content_type)
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def put_file(
        self, bucket: str, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> ObjectRef:
        """Store a file of any size in parts."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
        self._client.fput_object(bucket, key, str(path), content_type=content_type)
        return ObjectRef(bucket=bucket, key=key, size=path.stat().st_size, sha256=digest.hexdigest())

    def get(self, ref: ObjectRef) -> bytes:
        """The bytes, verified.

        Raises:
            ObjectMissing: there is no such object; a fault to be retried, never data.
            ObjectDamaged: length or SHA-256 differ from the reference.
        """
        data = self._read(ref.bucket, ref.key)
        if len(data) != ref.size or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise ObjectDamaged(
                f"{ref.bucket}/{ref.key}: {len(data)} bytes, not those of sha256 {ref.sha256}"
            )
        return data

    def get_file(self, ref: ObjectRef, path: Path) -> None:
        """Write the verified object to ``path``, which appears only when complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in self._stream(ref.bucket, ref.key):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            _verify(ref, size, digest.hexdigest())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; the caller verifies them."""
        return self._read(bucket, key, offset, size)

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the object is there."""
        try:
            self._client.stat_object(bucket, key)
        except S3Error as error:
            if error.code in MISSING:
                return False
            raise
        return True

    def list(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Keys under ``prefix``, in the server's order."""
        for entry in self._client.list_objects(bucket, prefix=prefix, recursive=True):
            if entry.object_name and not entry.is_dir:
                yield entry.object_name

    def ensure_bucket(self, bucket: str) -> None:
        """Make the bucket if it is not there; for provisioning and tests."""
        if not self._client.bucket_exists(bucket):
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def ping(self, bucket: str) -> None:
        """A signed round trip; raises when the store does not answer or lacks the bucket."""
        if not self._client.bucket_exists(bucket):
            raise ObjectMissing(f"bucket {bucket} is missing: run `python -m deploy.provision`")

    def sync(self) -> None:
        """Durability barrier: what was put before this call survives power loss after it.

        A production store syncs by itself and this does nothing.
        """
        if self._barrier is not None:
            self._barrier.sync()

    def _read(self, bucket: str, key: str, offset: int = 0, size: int = 0) -> bytes:
        return b"".join(self._stream(bucket, key, offset, size))

    def _stream(self, bucket: str, key: str, offset: int = 0, size: int = 0) -> Iterator[bytes]:
        response = self._named(bucket, key, lambda: self._client.get_object(bucket, key, offset, size))
        try:
            yield from response.stream(CHUNK_BYTES)
        finally:
            response.close()
            response.release_conn()

    def _named(self, bucket: str, key: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except S3Error as error:
            if error.code in MISSING:
                raise ObjectMissing(f"{bucket}/{key} is not in the object store ({error.code})") from error
            raise


def _verify(ref: ObjectRef, size: int, sha256: str) -> None:
    if size != ref.size or sha256 != ref.sha256:
        raise ObjectDamaged(
            f"{ref.bucket}/{ref.key} holds {size} bytes of sha256 {sha256}, "
            f"and the reference says {ref.size} of {ref.sha256}"
        )
