"""Dedup's handler of similarity vectors on a real database and a real object store, without a broker."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.commands import ResolveDuplicate
from contracts.events import VectorsComputed
from contracts.manifests import Buckets
from contracts.values import ImageId, LabelKind
from deploy.migrate import upgrade
from services.dedup.domain.fingerprint import Fingerprint
from services.dedup.domain.pairs import Moment
from services.dedup.judging import Judging
from services.dedup.resolving import Resolving
from services.dedup.settings import DedupSettings
from services.dedup.store import metadata
from services.dedup.store.images import Arrival
from services.dedup.store.labels import LabelNews
from services.dedup.store.tables import pair
from services.dedup.vector_handlers import VectorHandler
from services.runtime.database import Unit
from services.runtime.delivery import Delivery
from services.runtime.service import Service
from tests.support.servers import S3Server

AT = datetime(2026, 11, 22, tzinfo=UTC)
DIMENSIONS = 64
ENCODER = "backbone/1"


def name(number: int) -> ImageId:
    """Id of an image of the tests."""
    return hashlib.sha256(f"{number}".encode()).hexdigest()


def vector(motif: int, cosine: float = 1.0) -> NDArray[np.float32]:
    """Of length 1, with that cosine to the motif's own; two motifs are at right angles."""
    row = np.zeros(DIMENSIONS, np.float32)
    row[motif] = cosine
    row[DIMENSIONS - 1 - motif] = np.sqrt(1 - cosine**2)
    return row


def chance_vector(seed: int) -> NDArray[np.float32]:
    """Of length 1, in any direction: two of them are nowhere near alike."""
    row = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (row / np.linalg.norm(row)).astype(np.float32)


def parquet(vectors: Mapping[int, NDArray[np.float32]]) -> bytes:
    """A file as contracts/manifests.py says, of image numbers."""
    rows = sorted((name(number), row) for number, row in vectors.items())
    flat = np.concatenate([row for _, row in rows]) if rows else np.empty(0, np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), DIMENSIONS)
    table = pa.table(
        {"image_id": pa.array([image_id for image_id, _ in rows], pa.string()), "vector": column}
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@dataclass
class VectorHouse:
    """One database, one bucket, and any number of processes one after the other."""

    s3: S3Server
    database_url: str
    work_dir: Path
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        upgrade("dedup", self.database_url)
        self._start()

    def restart(self) -> None:
        """As a new process: nothing in memory, the folder as it was left."""
        self.close()
        self._start()

    def _start(self) -> None:
        s3 = self.s3.settings
        self.settings = DedupSettings(
            **{
                "nats_url": "nats://127.0.0.1:1",
                "s3_endpoint": s3.s3_endpoint,
                "s3_access_key": s3.s3_access_key,
                "s3_secret_key": s3.s3_secret_key,
                "database_url": self.database_url,
                "work_dir": self.work_dir,
                **self.changes,
            }
        )
        self.service = Service("dedup", self.settings, metadata, publishes=[])
        self.judging = Judging(self.settings.limits)
        self.handler = VectorHandler(self.service, self.judging, self.settings)
        writing = self.service.database.engine.connect().execution_options(immediate=True)
        with writing as connection, connection.begin():
            self.judging.open(Unit(connection, "dedup"), self.work_dir)

    async def images(self, *numbers: int, moment: Moment | None = None, flat: bool = False) -> None:
        """Pictures that no hash finds alike."""
        arrivals = [
            Arrival(name(n), f"upload-{n:06}", _fingerprint(n, flat=flat), moment or Moment(None, None, None))
            for n in numbers
        ]
        await self.service.database.run(lambda unit: self.judging.accept(unit, arrivals, AT))

    async def labels(self, label: str, *numbers: int) -> None:
        """All of one class."""
        news = [LabelNews(name(n), 1, label, LabelKind.CLASS) for n in numbers]
        await self.service.database.run(lambda unit: self.judging.label(unit, news, AT))

    async def says(self, *pairs: tuple[int, int], duplicate: bool) -> None:
        """A person's word on pairs; the first image is kept."""
        commands = [
            ResolveDuplicate(
                request_id=f"word-{one}-{other}",
                image_id=name(one),
                other_id=name(other),
                keep=name(one) if duplicate else None,
                by="keeper",
                requested_at=AT,
            )
            for one, other in pairs
        ]
        resolving = Resolving(self.judging)
        await self.service.database.run(lambda unit: [resolving.perform(unit, c, AT) for c in commands])

    def told(
        self, run: str, vectors: Mapping[int, NDArray[np.float32]], encoder: str = ENCODER, minute: int = 0
    ) -> VectorsComputed:
        """Put the file; the message that tells of it."""
        return self.told_of(run, parquet(vectors), len(vectors), encoder, minute)

    def told_of(
        self, run: str, data: bytes, images: int, encoder: str = ENCODER, minute: int = 0
    ) -> VectorsComputed:
        """The same with any bytes."""
        key = f"vectors/{hashlib.sha256(data).hexdigest()}.parquet"
        return VectorsComputed(
            run_id=run,
            encoder=encoder,
            snapshot_id="snapshot",
            images=images,
            dimensions=DIMENSIONS,
            vectors=self.s3.store().put(Buckets.REPORTS, key, data),
            computed_at=AT + timedelta(minutes=minute),
        )

    async def hear(self, event: VectorsComputed, attempt: int = 1) -> None:
        """Deliver the message to the process of now."""
        await self.handler.computed(Delivery(event, "BULK", 1, attempt, AT, event.run_id))

    def pairs(self) -> dict[tuple[ImageId, ImageId], tuple[str, float | None, str]]:
        """State, similarity and detector of all pairs."""
        with self.service.database.engine.connect() as connection:
            return {
                (row.image_id, row.other_id): (row.state, row.similarity, row.detector)
                for row in connection.execute(sa.select(pair))
            }

    def said(self) -> list[str]:
        """Ids of all messages that go out."""
        outbox = metadata.tables["outbox"]
        with self.service.database.engine.connect() as connection:
            return sorted(connection.scalars(sa.select(outbox.c.message_id)))

    def close(self) -> None:
        """Give the connections and the index's file back."""
        self.judging.close()
        self.service.database.close()


def key(one: int, other: int) -> tuple[ImageId, ImageId]:
    """As the pair table has it."""
    first, second = sorted((name(one), name(other)))
    return first, second


def _fingerprint(number: int, *, flat: bool) -> Fingerprint:
    if flat:
        return Fingerprint(None, None, None, 0.0, None)
    chance = np.random.default_rng(number)
    turned = chance.bytes(8 * 32)
    return Fingerprint(turned[:32], turned[:8], turned, 1.0, None)
