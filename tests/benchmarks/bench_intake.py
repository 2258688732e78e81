"""Intake beside its floor: the same pixels and bytes made by one bare process that promises nothing.

Per core: images per second of processor time of our own processes, so that neither a busy machine nor the number
of decoder processes colours it. The S3 server is a process of its own and is in no figure but the wall clock's.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from PIL import Image

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from services.ingest.decoding.pool import Decoder
from services.ingest.domain.letterbox import content_box
from services.ingest.domain.normalise import PNG_OPTIONS, normalise
from services.ingest.domain.picture import Normalised, PictureRules
from services.ingest.intake import Intake
from services.ingest.settings import IngestSettings
from services.ingest.store import metadata
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from tests.support.pictures import encoded, photos
from tests.support.servers import S3Server

BATCH = 32
"""What the durable "ingest-uploads" fetches."""
ROUNDS = 5


@dataclass(frozen=True)
class Spent:
    """What a round took; of several the cheapest counts, for other load only ever adds."""

    images: int
    own_s: float
    children_s: float
    wall_s: float

    @property
    def cpu_s(self) -> float:
        """Of all our processes."""
        return self.own_s + self.children_s

    def row(self, name: str, floor: Spent) -> str:
        """One line of the table."""

        def each(seconds: float) -> float:
            return 1000 * seconds / self.images

        return (
            f"{name:<36}{self.images / self.cpu_s:9.1f}{each(self.own_s):10.2f}{each(self.children_s):10.2f}"
            f"{self.images / self.wall_s:10.1f}{100 * floor.cpu_s / self.cpu_s:8.0f} %"
        )  # fmt: skip


@dataclass
class Bench:
    """Intake as the service composes it, on the embedded S3 server and SQLite."""

    intake: Intake
    decoder: Decoder
    store: ObjectStore
    rules: PictureRules
    uploads: int = 0

    def announce(self, files: Sequence[bytes]) -> list[ImageUploaded]:
        """Put the files and say so."""
        return [self._announced(data) for data in files]

    def _announced(self, data: bytes) -> ImageUploaded:
        self.uploads += 1
        return ImageUploaded(
            upload_id=f"upload-{self.uploads:08d}",
            object=self.store.put(Buckets.INCOMING, hashlib.sha256(data).hexdigest(), data),
            file_name="lion.jpg",
            uploaded_at=datetime.now(UTC),
            label="lion",
        )


@pytest.fixture
async def bench(weed: S3Server, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = IngestSettings(work_dir=tmp_path)
    database = Database(f"sqlite:///{tmp_path}/ingest.sqlite", metadata, "ingest", "bench")
    metadata.create_all(database.engine)
    threads = ThreadPoolExecutor(settings.object_threads)
    decoder = Decoder(
        settings.picture_rules,
        processes=settings.decoder_processes,
        memory_bytes=settings.decoder_memory_bytes,
        cpu_s=settings.decoder_cpu_s,
        timeout_s=settings.decoder_timeout_s,
    )
    store = weed.store()
    intake = Intake(database, store, threads, decoder, settings.max_file_bytes)
    await decoder.decode([encoded(Image.new("RGB", (8, 8)))] * 64)  # starts every process
    yield Bench(intake, decoder, store, settings.picture_rules)
    await decoder.close()
    threads.shutdown()
    database.close()


def children_s() -> float:
    """Processor seconds of the decoder processes so far."""
    children = (child for child in psutil.Process().children() if child.name().startswith("python"))
    return sum(sum(child.cpu_times()[:2]) for child in children)


def alone(files: Sequence[bytes], work: Callable[[bytes], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    for data in files:
        work(data)
    return Spent(len(files), time.process_time() - cpu, 0, time.perf_counter() - wall)


def cheapest(rounds: Sequence[Spent]) -> Spent:
    return min(rounds, key=lambda spent: spent.cpu_s)


async def taken_in(bench: Bench, files: Sequence[bytes]) -> Spent:
    uploads = bench.announce(files)
    wall, own, theirs = time.perf_counter(), time.process_time(), children_s()
    for start in range(0, len(uploads), BATCH):
        await bench.intake.take(uploads[start : start + BATCH])
    return Spent(
        len(files), time.process_time() - own, children_s() - theirs, time.perf_counter() - wall
    )  # fmt: skip


def bare(bench: Bench, data: bytes) -> None:
    """The floor: decode, resize, letterbox, encode, put; no thumbnail, no identity, no second process."""
    side = bench.rules.image_size_px
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        box = content_box(*image.size, side * 2)
        image.draft("RGB", (box.width, box.height))
        rgb = image.convert("RGB")
    box = content_box(*rgb.size, side)
    square = Image.new("RGB", (side, side))
    small = rgb.resize((box.width, box.height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    square.paste(small, (box.left, box.top))
    png = encoded(square, **PNG_OPTIONS)
    bench.store.put(Buckets.LIBRARY, f"floor/{hashlib.sha256(png).hexdigest()}.png", png)


def all_in_one(bench: Bench, data: bytes) -> None:
    """Everything that intake makes of a picture, in one process: what bounds and promises cost is the rest."""
    made = normalise(data, bench.rules)
    assert isinstance(made, Normalised)
    for folder, picture in (("normalised", made.png), ("thumbnails", made.thumbnail)):
        bench.store.put(Buckets.LIBRARY, f"floor/{folder}/{hashlib.sha256(picture).hexdigest()}", picture)


def plain(bench: Bench, data: bytes) -> None:
    """What one writes first; it neither encodes nor stores anything."""
    Image.open(io.BytesIO(data)).convert("RGB").resize((bench.rules.image_size_px,) * 2)


def small_jpegs(count: int) -> list[bytes]:
    return [encoded(photo, "JPEG", quality=92) for photo in photos(500, 375, count)]


def phone_jpegs(count: int) -> list[bytes]:
    return [encoded(photo, "JPEG", quality=85) for photo in photos(4000, 3000, count)]


def digits(count: int) -> list[bytes]:
    """Blobs of white on black."""
    return [encoded(photo.convert("L").point(lambda v: 255 * (v > 150))) for photo in photos(28, 28, count)]


@pytest.mark.parametrize(("made", "images"), [(small_jpegs, 128), (phone_jpegs, 8), (digits, 256)])
async def test_intake(bench: Bench, made: Callable[[int], list[bytes]], images: int) -> None:
    every = made(images * ROUNDS)
    files = every[:images]
    floors, wholes, pillows, intakes = [], [], [], []
    for start in range(0, len(every), images):  # by turns: a machine's pace changes from minute to minute
        floors.append(alone(files, lambda data: bare(bench, data)))
        wholes.append(alone(files, lambda data: all_in_one(bench, data)))
        intakes.append(await taken_in(bench, every[start : start + images]))
        pillows.append(alone(files, lambda data: plain(bench, data)))
    floor = cheapest(floors)
    print(f"\n\n{made.__name__}: {images} of {sum(map(len, files)) / images / 1000:.0f} kB")
    print(f"{'':<36}{'images/s':>9}{'CPU ms per image':>20}{'images/s':>10}{'per core':>10}")
    print(f"{'':<36}{'per core':>9}{'service':>10}{'decoders':>10}{'wall':>10}{'of floor':>10}")
    print(floor.row("floor: decode, resize, encode, put", floor))
    print(cheapest(wholes).row("and thumbnail, identity, measures", floor))
    print(cheapest(intakes).row("intake: all it does", floor))
    print(cheapest(pillows).row("Pillow: open, convert, resize", floor))
