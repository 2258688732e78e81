"""A small zoo whose visitors send the same picture twice: families of pictures that belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from PIL import Image

from contracts.values import Box, Orientation
from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import Fingerprint, fingerprint
from tests.support.pictures import encoded

SIDE_PX = 64
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LABELS = ("lion", "otter")
SINGLES = 36
"""Pictures of no family, so that every side has some of each class."""
COPIED = 12
BURSTS = 10
SHOTS = 3
REQUEST_FILES = 64
PHOTOGRAPHER = "ann"
"""She takes far more photos of each class than make a visit: only what dedup says keeps hers together."""


@dataclass(frozen=True)
class Photo:
    """A file with what its uploader says of it."""

    upload_id: str
    family: int
    data: bytes
    says: dict[str, Any]
    """``verdict`` is what dedup has to find."""
    verdict: str = "unique"

    @property
    def meta(self) -> dict[str, Any]:
        """As ingest's HTTP side wants it."""
        return {"upload_id": self.upload_id, "file_name": f"{self.upload_id}.png"} | self.says


@dataclass
class Zoo:
    """All photos in the order they arrive; ``seed`` chooses the pictures."""

    limits: Limits
    seed: int = 11
    photos: list[Photo] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(SINGLES):
            self._add(number, scene(self.seed + number), label=LABELS[number % 2])
        for number in range(COPIED):
            self._copied(SINGLES + number)
        for number in range(BURSTS):
            self._burst(SINGLES + COPIED + number, NOON + timedelta(hours=number))

    def forms(self) -> Iterator[dict[str, Any]]:
        """Requests that upload everything, with as many files each as ingest takes."""
        for start in range(0, len(self.photos), REQUEST_FILES):
            photos = self.photos[start : start + REQUEST_FILES]
            yield {
                "data": {"meta": json.dumps([photo.meta for photo in photos])},
                "files": [("files", (photo.upload_id, photo.data)) for photo in photos],
            }

    def _copied(self, family: int) -> None:
        """An original, a worse copy under another label and a mirrored one, some in a benchmark set."""
        original = scene(self.seed + family)
        measured = {"benchmark": "difficult"} if family % 4 == 0 else {}
        self._add(family, original, label=LABELS[family % 2])
        self._add(family, worse(original), "near", label=LABELS[(family + 1) % 2], **measured)
        mirrored = original.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        self._add(family, mirrored, "near", label=LABELS[family % 2])

    def _burst(self, family: int, at: datetime) -> None:
        """Photos a second apart, each alike enough to the first to be asked about, none a copy."""
        shots = [scene(self.seed + family)]
        for shot in range(1, SHOTS):
            shots.append(self._alike(shots, 1000 * shot + family))
        for shot, picture in enumerate(shots):
            self._add(
                family, picture, "burst" if shot else "unique", label=LABELS[family % 2], guest=PHOTOGRAPHER,
                taken_at=(at + timedelta(seconds=shot)).isoformat(),
            )  # fmt: skip

    def _alike(self, shots: list[Image.Image], seed: int) -> Image.Image:
        """The first picture going over into another one, stopped where likeness begins to be doubtful."""
        other = scene(self.seed + seed)
        for share in np.linspace(0.02, 0.98, 97):
            picture = Image.blend(shots[0], other, share)
            found = [self._likeness(picture, shot) for shot in shots]
            if found[0] is Likeness.REVIEW and Likeness.AUTOMATIC not in found:
                return picture
        raise AssertionError(f"no picture between the two of seed {seed} is in doubt: try another seed")

    def _likeness(self, one: Image.Image, other: Image.Image) -> Likeness:
        first, second = of(one), of(other)
        return likeness(first, second, distance_bits(first, second), Orientation.SAME, self.limits)

    def _add(self, family: int, picture: Image.Image, verdict: str = "unique", /, **says: Any) -> None:
        upload_id = f"upload-{len(self.photos):04d}"
        self.photos.append(Photo(upload_id, family, encoded(picture), says, verdict))


def scene(seed: int) -> Image.Image:
    """Soft blobs of colour, unlike those of every other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


def worse(picture: Image.Image) -> Image.Image:
    """As a phone forwards it: smaller, and back to its size."""
    small = picture.resize((SIDE_PX * 3 // 4, SIDE_PX * 3 // 4), Image.Resampling.BILINEAR)
    return small.resize(picture.size, Image.Resampling.BILINEAR)


def of(picture: Image.Image) -> Fingerprint:
    """The fingerprint that dedup takes of it."""
    return fingerprint(encoded(picture), Box(left=0, top=0, width=picture.width, height=picture.height))


def distance_bits(one: Fingerprint, other: Fingerprint) -> int:
    """Of the upright hashes."""
    assert one.hash is not None
    assert other.hash is not None
    return (int.from_bytes(one.hash) ^ int.from_bytes(other.hash)).bit_count()
