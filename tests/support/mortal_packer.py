"""A process that packs a library of made-up pictures and dies of ``kill -9`` half-way, if it is told to.

Usage: python -m tests.support.mortal_packer DATABASE_URL S3_ENDPOINT SEED [SHARD]

With SHARD it dies at the last picture of that shard, when all shards before it are noted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
import time

import sqlalchemy as sa

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from deploy.provision.settings import ProvisionSettings
from services.ingest.domain.state import LibraryImage
from services.ingest.packing.packer import Packer
from services.ingest.packing.snapshots import Snapshots
from services.ingest.store import metadata
from services.ingest.store.tables import image, shard
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from tests.support.ingest_house import AT
from tests.support.servers import ACCESS_KEY, SECRET_KEY
from tests.support.snapshot_desk import request

SHARD_IMAGES, IMAGE_BYTES = 8, 3 * 2**20
"""24 MiB: the first part of a shard is stored when its last picture is fetched."""
SHARDS = 2
NOTED_DEADLINE_S = 30.0


def picture(seed: int, number: int) -> bytes:
    """The bytes of image ``number``; no PNG, which nothing here minds."""
    return random.Random(f"{seed}-{number}").randbytes(IMAGE_BYTES)


def pictures(seed: int) -> dict[str, bytes]:
    """Of a whole library, by image id."""
    made = (picture(seed, number) for number in range(SHARDS * SHARD_IMAGES))
    return {hashlib.sha256(data).hexdigest(): data for data in made}


def add_pictures(connection: sa.Connection, library: dict[str, bytes]) -> None:
    """Rows of accepted images with a verdict."""
    rows = [
        {
            "image_id": image_id, "pixel_sha256": image_id, "upload_id": image_id[:26], "original": {},
            "thumbnail": {}, "source": "real", "accepted_at": AT, "label_revision": 0, "verdict_revision": 1,
            "verdict": "unique", "group_id": image_id,
            "normalised": ObjectRef(
                bucket=Buckets.LIBRARY, key=image_id, size=len(data), sha256=image_id
            ).model_dump(),
        }
        for image_id, data in library.items()
    ]  # fmt: skip
    connection.execute(sa.insert(image), rows)


def main(database_url: str, endpoint: str, seed: int, last_shard: int | None) -> None:
    """Answer one request."""
    settings = ProvisionSettings.model_validate(
        {"s3_endpoint": endpoint, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
    )
    database, store = Database(database_url, metadata, "ingest", "mortal"), ObjectStore(settings)
    library = pictures(seed)
    last_members = sorted(library)[SHARD_IMAGES - 1 :: SHARD_IMAGES]

    def fetch(wanted: LibraryImage) -> bytes:
        if wanted.shard_number == last_shard and wanted.image_id == last_members[last_shard]:
            until_noted(database.engine, last_shard)
            os.kill(os.getpid(), signal.SIGKILL)
        return library[wanted.image_id]

    packer = Packer(store, fetch, shard_threads=1, fetch_threads=2)
    snapshots = Snapshots(database, store, packer, image_size_px=299, shard_images=SHARD_IMAGES)
    asyncio.run(snapshots.answer(request(1)))


def until_noted(engine: sa.Engine, shards: int) -> None:
    """Poll until so many shards are noted as complete."""
    deadline = time.monotonic() + NOTED_DEADLINE_S
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(sa.select(sa.func.count()).select_from(shard)) == shards:
                return
        time.sleep(0.02)
    raise AssertionError(f"{shards} shards were not noted within {NOTED_DEADLINE_S:g} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else None)
