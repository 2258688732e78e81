"""What each detector says of altered copies and of different photos: measured for docs/duplicates.md."""

from __future__ import annotations

import csv
import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint, of_grey
from services.dedup.domain.sketch import agreement
from services.dedup.domain.turning import as_turned, turned_distances
from services.ingest.domain.letterbox import fit
from tests.support.altered_pictures import ALTERATIONS

IMAGE_SIZE_PX = 299
REDUCING_GAP = 3.0
ORIGINAL = "original"
STRANGERS = ("JPEG 30", "brightness x 1.4", "text all over", "crop 5 %")
"""Alterations that are also compared with all other photos."""
WIDEST_BITS = 100

Vectors = Callable[[list[Image.Image]], NDArray[np.float32]]
NAMES = [(family, name) for family, made in ALTERATIONS.items() for name in made]


@dataclass
class Library:
    """Fingerprints of photos and of their altered copies, in the order of NAMES."""

    files: list[str]
    guests: list[str]
    originals: list[Fingerprint] = field(default_factory=list)
    altered: list[list[Fingerprint]] = field(default_factory=list)
    similarity: list[list[float]] = field(default_factory=list)
    """Of each altered copy to its photo, when there are vectors."""

    def held_out(self) -> NDArray[np.bool_]:
        """Photos on which nothing may be chosen: all of every other guest, by a checksum."""
        return np.array([zlib.crc32(guest.encode()) % 2 == 1 for guest in self.guests])


def as_ingested(picture: Image.Image) -> Image.Image:
    """The picture inside the letterbox, as ingest makes it of an upright RGB picture."""
    size = fit(*picture.size, IMAGE_SIZE_PX)
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def one_photo(path: Path, vectors: str | None = None) -> tuple[Fingerprint, list[Fingerprint], list[float]]:
    """A photo and its altered copies; the chances are drawn from the file's name."""
    with Image.open(path) as file:
        photo = file.convert("RGB")
    chance = np.random.default_rng(zlib.crc32(path.name.encode()))
    pictures = [as_ingested(photo)]
    pictures += [as_ingested(ALTERATIONS[family][name](photo, chance)) for family, name in NAMES]
    first, *others = (of_grey(picture.convert("L")) for picture in pictures)
    similarity: list[float] = []
    if vectors is not None:
        made = _function(vectors)(pictures)
        similarity = (made[1:] @ made[0]).tolist()
    return first, others, similarity


def read_library(folder: Path, every: int, processes: int, vectors: str | None = None) -> Library:
    """All that is measured on; the same whenever and wherever it is run."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())[::every]
    labels = folder.parent / "labels.csv"
    known = {}
    if labels.exists():
        with labels.open(newline="") as lines:
            known = {row["file"]: row["guest"] for row in csv.DictReader(lines)}
    library = Library([path.name for path in paths], [known.get(path.name, path.name) for path in paths])
    work = partial(one_photo, vectors=vectors)
    with get_context("spawn").Pool(processes) if processes > 1 else nullcontext() as pool:
        for first, others, similarity in pool.imap(work, paths, chunksize=4) if pool else map(work, paths):
            library.originals.append(first)
            library.altered.append(others)
            library.similarity.append(similarity)
    return library


def _function(spec: str) -> Vectors:
    module, _, name = spec.partition(":")
    made: Vectors = getattr(importlib.import_module(module), name)
    return made


@dataclass(frozen=True)
class Found:
    """What each detector says of one altered copy beside its photo."""

    hash64_bits: int
    upright_bits: int
    nearest_bits: int
    agreed: float
    like: Likeness
    low_detail: bool
    similarity: float


def copies(library: Library, number: int, limits: Limits) -> list[Found]:
    """Of the copies of all photos, altered in way ``number``."""
    made = []
    for at, original in enumerate(library.originals):
        copy = library.altered[at][number]
        if original.hash is None or copy.hash is None:
            made.append(Found(64, 256, 256, 0.0, Likeness.NONE, low_detail=True, similarity=0.0))
            continue
        bits = _distances([original], [copy])[0]
        like, agreed = best(original, copy, bits, limits)
        similarity = library.similarity[at][number] if library.similarity[at] else 0.0
        low = min(original.detail, copy.detail) < limits.low_detail
        hash64 = _bits(original.hash64, copy.hash64)
        made.append(Found(hash64, int(bits[0]), int(bits.min()), agreed, like, low, similarity))
    return made


def best(
    one: Fingerprint, other: Fingerprint, bits: NDArray[np.int32], limits: Limits
) -> tuple[Likeness, float]:
    """What the service says of two pictures in the orientation that says most, and the best agreement."""
    order = {Likeness.AUTOMATIC: 0, Likeness.REVIEW: 1, Likeness.NONE: 2}
    like, agreed = Likeness.NONE, 0.0
    assert one.sketch is not None
    assert other.sketch is not None
    for place in np.flatnonzero(bits <= max(limits.search_bits, WIDEST_BITS)).tolist():
        agreed = max(agreed, agreement(one.sketch, other.sketch, place) or 0.0)
        found = likeness(one, other, int(bits[place]), ORIENTATIONS[place], limits)
        like = min(like, found, key=lambda what: order[what])
    return like, agreed


@dataclass(frozen=True)
class Stranger:
    """Two different photos, the second perhaps altered, whose hashes are within WIDEST_BITS."""

    one: int
    other: int
    altered: str
    upright_bits: int
    nearest_bits: int
    agreed: float
    like: Likeness
    low_detail: bool


def strangers(library: Library, limits: Limits) -> Iterator[Stranger]:
    """All pairs of different photos, in all orientations, and each photo beside some altered others."""
    numbers = {ORIGINAL: -1} | {name: NAMES.index((f, name)) for f, name in NAMES if name in STRANGERS}
    for name, number in numbers.items():
        beside = [
            library.originals[at] if number < 0 else row[number] for at, row in enumerate(library.altered)
        ]
        usable = [at for at, made in enumerate(beside) if made.hash and library.originals[at].hash]
        turned = as_turned([library.originals[at].turned or b"" for at in usable])
        others = as_turned([beside[at].turned or b"" for at in usable])
        for row, one in enumerate(usable):
            later = np.arange(row + 1 if number < 0 else 0, len(usable))
            later = later[later != row]
            distances = turned_distances(np.repeat(turned[row : row + 1], len(later), 0), others[later])
            for hit in np.flatnonzero(distances.min(axis=1) <= WIDEST_BITS).tolist():
                other = usable[later[hit]]
                bits = distances[hit]
                like, agreed = best(library.originals[one], beside[other], bits, limits)
                low = min(library.originals[one].detail, beside[other].detail) < limits.low_detail
                yield Stranger(one, other, name, int(bits[0]), int(bits.min()), agreed, like, low)


def _distances(one: Sequence[Fingerprint], other: Sequence[Fingerprint]) -> NDArray[np.int32]:
    return turned_distances(
        as_turned([a.turned or b"" for a in one]), as_turned([b.turned or b"" for b in other])
    )


def _bits(one: bytes | None, other: bytes | None) -> int:
    return (int.from_bytes(one or b"") ^ int.from_bytes(other or b"")).bit_count()


def hash64_pairs(library: Library, bits: int) -> int:
    """Pairs of untouched photos whose upright 64-bit hashes are that near."""
    hashes = np.frombuffer(b"".join(made.hash64 or b"" for made in library.originals), ">u8").astype(
        np.uint64
    )
    return sum(
        int((np.bitwise_count(hashes[at + 1 :] ^ hashes[at]) <= bits).sum()) for at in range(len(hashes))
    )
