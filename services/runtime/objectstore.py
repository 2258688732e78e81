"""The object store: S3 through the MinIO SDK, whichever server answers."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

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
PART_BYTES = 8 * 2**20
"""Of a stream, what is held and sent at once."""
MISSING = {"NoSuchKey", "NoSuchObject", "NoSuchBucket"}
REGION = "us-east-1"
"""Named, or the SDK asks the server before the first request."""
USER_METADATA = "x-amz-meta-"


class Readable(Protocol):
    """What a stream is read from."""

    def read(self, size: int, /) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""


class ObjectMissing(Exception):
    """A message refers to an object that the store does not have."""


class ObjectDamaged(Exception):
    """The bytes read are not the bytes referred to."""


@dataclass(frozen=True)
class StoredObject:
    """An object as the server tells of it, now; ``metadata`` only by ``stat``, names in lower case."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


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
            region=REGION,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S),
                retries=retries,
                maxsize=CONNECTIONS,
                cert_reqs="CERT_REQUIRED",
            ),
        )
        self._barrier = SyncBarrier(settings.s3_sync_dir) if settings.s3_sync_dir else None
        self._settings = settings

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

    def put_stream(
        self,
        bucket: str,
        key: str,
        data: Readable,
        size: int,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Store ``size`` bytes as they are read, one part after the other; visible whole or not at all.

        Raises:
            OSError: ``data`` ends before ``size`` bytes.
        """
        # One at a time: the SDK's pool reads on after a failed part, and its threads stay when reading fails.
        self._client.put_object(
            bucket,
            key,
            cast(BinaryIO, data),
            size,
            content_type=content_type,
            part_size=PART_BYTES,
            num_parallel_uploads=1,
        )

    def get(self, ref: ObjectRef) -> bytes:
        """The bytes, verified.

        Raises:
            ObjectMissing: there is no such object; a fault to be retried, never data.
            ObjectDamaged: length or SHA-256 differ from the reference.
        """
        data = bytearray()
        for chunk in self.stream(ref.bucket, ref.key):
            data.extend(chunk)
            if len(data) > ref.size:  # whoever made the reference does not decide over our memory
                break
        if len(data) != ref.size or hashlib.sha256(data).hexdigest() != ref.sha256:
            told = f"more than {ref.size}" if len(data) > ref.size else str(len(data))
            raise ObjectDamaged(
                f"{ref.bucket}/{ref.key} holds {told} bytes, not the {ref.size} of sha256 {ref.sha256}"
            )
        return bytes(data)

    def get_file(self, ref: ObjectRef, path: Path) -> None:
        """Write the verified object to ``path``, which appears only when complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(self._verified(ref))
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def check(self, ref: ObjectRef) -> None:
        """Read the object once, keep nothing of it.

        Raises:
            ObjectMissing, ObjectDamaged: see ``get``.
        """
        for _ in self._verified(ref):
            pass

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; the caller verifies them."""
        return b"".join(self._stream(bucket, key, offset, size))

    def stream(self, bucket: str, key: str, etag: str | None = None) -> Iterator[bytes]:
        """The bytes as they come, unverified; those of the version ``etag`` when it is given.

        Raises:
            ObjectMissing: there is no such object.
            ObjectDamaged: it was replaced since it had that ``etag``.
        """
        return self._stream(bucket, key, etag=etag)

    def stat(self, bucket: str, key: str) -> StoredObject:
        """What the server says of the object.

        Raises:
            ObjectMissing: there is no such object.
        """
        found = self._named(bucket, key, lambda: self._client.stat_object(bucket, key))
        assert found.last_modified is not None
        told = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return StoredObject(
            key=key,
            size=found.size or 0,
            etag=found.etag or "",
            last_modified=found.last_modified,
            metadata={
                name.removeprefix(USER_METADATA): value
                for name, value in told.items()
                if name.startswith(USER_METADATA)
            },
        )

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the object is there."""
        try:
            self.stat(bucket, key)
        except ObjectMissing:
            return False
        return True

    def remove(self, bucket: str, key: str) -> None:
        """Remove the object; one that is not there is removed already."""
        with contextlib.suppress(ObjectMissing):
            self._named(bucket, key, lambda: self._client.remove_object(bucket, key))

    def presigned_put(self, bucket: str, key: str, valid_s: int, endpoint: str | None = None) -> str:
        """URL by which anybody may PUT this one object for ``valid_s`` seconds.

        ``endpoint`` is the server as the uploader reaches it, ``host:port`` or with ``https://``
        before it: it is part of what is signed.
        """
        scheme, separator, host = (endpoint or self._settings.s3_endpoint).rpartition("://")
        signer = Minio(
            host,
            access_key=self._settings.s3_access_key,
            secret_key=self._settings.s3_secret_key.get_secret_value(),
            secure=scheme == "https" if separator else self._settings.s3_secure,
            region=REGION,
        )
        return signer.presigned_put_object(bucket, key, timedelta(seconds=valid_s))

    def list(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Keys under ``prefix``, in the server's order."""
        return (entry.key for entry in self.entries(bucket, prefix))

    def entries(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Objects under ``prefix`` without their metadata, in the server's order."""
        for entry in self._client.list_objects(bucket, prefix=prefix, recursive=True):
            if entry.object_name and not entry.is_dir and entry.last_modified is not None:
                yield StoredObject(entry.object_name, entry.size or 0, entry.etag or "", entry.last_modified)

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

    def _verified(self, ref: ObjectRef) -> Iterator[bytes]:
        """The bytes as they come; raises behind the last, when they are not the referenced ones."""
        digest, size = hashlib.sha256(), 0
        for chunk in self.stream(ref.bucket, ref.key):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, digest.hexdigest()) != (ref.size, ref.sha256):
            raise ObjectDamaged(
                f"{ref.bucket}/{ref.key} holds {size} bytes of sha256 {digest.hexdigest()}, "
                f"and the reference says {ref.size} of {ref.sha256}"
            )

    def _stream(
        self, bucket: str, key: str, offset: int = 0, size: int = 0, etag: str | None = None
    ) -> Iterator[bytes]:
        response = self._named(bucket, key, lambda: self._client.get_object(bucket, key, offset, size))
        try:
            if etag is not None and response.headers.get("etag", "").strip('"') != etag:
                raise ObjectDamaged(f"{bucket}/{key} was replaced while it was read; it will be read again")
            yield from response.stream(CHUNK_BYTES)
        finally:
            response.close()
            response.release_conn()

    def _named(self, bucket: str, key: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except ValueError as error:  # the SDK's word for `..` and the like, which no object is called
            raise ObjectMissing(f"{bucket}/{key[:200]} is not in the object store ({error})") from error
        except S3Error as error:
            if error.code in MISSING:
                raise ObjectMissing(f"{bucket}/{key} is not in the object store ({error.code})") from error
            raise
