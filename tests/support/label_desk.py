"""What people ask of ingest's library, and a library of any size to ask it of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from contracts.message import Message
from services.ingest.actions.perform import perform
from services.ingest.store.tables import image
from tests.support.ingest_house import AT, House, deliveries
from tests.support.pictures import encoded, noise

R = TypeVar("R", bound=Message)


def ask(command: type[R], request_id: str, **fields: Any) -> R:
    """A command of ann's unless another name is given."""
    return command.model_validate({"request_id": request_id, "by": "ann", "requested_at": AT, **fields})


async def hear(house: House, *requests: Message) -> None:
    """Deliver commands as one batch of messages."""
    await house.handlers.requests(deliveries(requests))


async def outcome(house: House, request: Message) -> dict[str, Any]:
    """Do one command as HTTP would and give what the requester is told."""
    return await house.database.run(lambda unit: perform(unit, request, AT))


async def stock(house: House, images: int, **fields: Any) -> list[str]:
    """Take in so many images; their ids, sorted."""
    await house.take(
        *(house.put(f"upload-{n:04d}", encoded(noise(9, 9, n)), **fields) for n in range(images))
    )
    return [row["image_id"] for row in await house.rows()]


def shelve(connection: sa.Connection, images: int) -> list[str]:
    """Rows of so many images without a picture; their ids, sorted."""
    ids = [f"{number:064x}" for number in range(images)]
    rows = [
        {
            "image_id": image_id, "pixel_sha256": image_id, "upload_id": image_id[-26:], "original": {},
            "normalised": {}, "thumbnail": {}, "source": "real", "accepted_at": AT, "label_revision": 0,
            "verdict_revision": 0,
        }
        for image_id in ids
    ]  # fmt: skip
    connection.execute(sa.insert(image), rows)
    return ids


def of_kind(messages: Sequence[Message], kind: type[R]) -> list[R]:
    """Those of exactly that type, in order."""
    return [message for message in messages if type(message) is kind]
