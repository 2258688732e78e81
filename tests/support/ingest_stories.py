"""What must hold of ingest on every database: told once, run on each."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events import ImageLabelled, ImageUploaded
from tests.support.ingest_house import House
from tests.support.pictures import encoded, noise

FIRST, SECOND = noise(20, 16, 1), noise(16, 20, 2)
FILES: dict[str, tuple[bytes, str]] = {
    # name: bytes, and the pixels they hold ("" for none)
    "a.png": (encoded(FIRST), "a"),
    "a.bmp": (encoded(FIRST, "BMP"), "a"),
    "a.tiff": (encoded(FIRST, "TIFF"), "a"),
    "b.png": (encoded(SECOND), "b"),
    "note.jpg": (b"no picture", ""),
    "empty": (b"", ""),
}


@dataclass(frozen=True)
class Shipment:
    """Uploads, (file, label) each, and how the world treats their messages."""

    uploads: Sequence[tuple[str, str | None]]
    seed: int
    crashes_before: frozenset[int] = frozenset()
    crashes_after: frozenset[int] = frozenset()


def announce(house: House, shipment: Shipment) -> list[ImageUploaded]:
    """Put the files and return their events."""
    return [
        house.put(f"upload-{number:04d}", FILES[name][0], file_name=name, label=label)
        for number, (name, label) in enumerate(shipment.uploads)
    ]


async def deliver_at_random(house: House, messages: list[ImageUploaded], shipment: Shipment) -> None:
    """Batches of any size, order and repetition, with crashes; then all once more, as the broker would."""
    chance = random.Random(shipment.seed)
    house.database.commits = 0
    house.database.before, house.database.after = shipment.crashes_before, shipment.crashes_after
    for _ in range(chance.randint(1, 6)):
        batch = chance.choices(messages, k=chance.randint(1, len(messages) + 2))
        try:
            await house.take(*batch)
        except ConnectionError:
            continue
    house.database.before = house.database.after = frozenset()
    for message in chance.sample(messages, len(messages)):
        await house.take(message)


async def check_exactly_one_outcome(
    house: House, messages: Sequence[ImageUploaded], shipment: Shipment
) -> None:
    """Counts follow from the set of uploads alone, and each upload is told of once."""
    pixels = [FILES[name][1] for name, _ in shipment.uploads]
    accepted = len(set(pixels) - {""})
    rejected = pixels.count("")
    told = await house.told()
    assert told["image.accepted"] == accepted
    assert told["image.rejected"] == rejected
    assert told["image.repeated"] == len(pixels) - accepted - rejected
    assert told["image.relabelled"] == 0
    assert Counter((await house.outcomes()).values()) == Counter(
        {k: n for k, n in (
            ("accepted", accepted), ("rejected", rejected), ("repeated", len(pixels) - accepted - rejected)
        ) if n}
    )  # fmt: skip
    ended = [m.upload_id for m in await house.said() if hasattr(m, "upload_id")]
    assert sorted(ended) == sorted(message.upload_id for message in messages)
    labelled = {FILES[name][1] for name, label in shipment.uploads if label is not None} - {""}
    first_labels = [m for m in await house.said() if type(m) is ImageLabelled]
    assert len(first_labels) == len(labelled) == len(await house.history())
    assert sum(row["label"] is not None for row in await house.rows()) == len(labelled)


async def two_replicas_take_the_same_uploads(one: House, other: House) -> None:
    """Both get every message, in opposite orders, at once."""
    shipment = Shipment([(name, "otter") for name in FILES] * 3, seed=0)
    messages = announce(one, shipment)

    async def take(house: House, order: Sequence[ImageUploaded]) -> None:
        for start in range(0, len(order), 3):
            await house.take(*order[start : start + 3])

    await asyncio.gather(take(one, messages), take(other, messages[::-1]))
    await check_exactly_one_outcome(one, messages, shipment)
