"""image.accepted -> fingerprint -> verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.events import ImageAccepted
from services.dedup.domain.fingerprint import NotComparable, fingerprint
from services.dedup.domain.groups import RankedImage
from services.dedup.store import Fingerprints, Registered, known_images
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.objectstore import ObjectStore
from services.runtime.service import Service

WIDE_NEIGHBOURS = 1000
"""So many images within the distance of one mean that it is set too wide for the library. Verdicts
stay exact, but each reads as many rows as it has neighbours."""


class ImageHandler:
    """Gives every accepted image its verdict; a batch is one transaction."""

    def __init__(self, service: Service, fingerprints: Fingerprints) -> None:
        self._service = service
        self._fingerprints = fingerprints

    async def accept(self, deliveries: Sequence[Delivery[ImageAccepted]]) -> None:
        """Fingerprint and judge what is not known yet; a missing object is tried again later."""
        messages = {delivery.message.image_id: delivery.message for delivery in deliveries}
        known = await self._service.database.read(lambda c: known_images(c, list(messages)))
        new = [message for image_id, message in messages.items() if image_id not in known]
        reading = (asyncio.to_thread(ranked_image, self._service.store, message) for message in new)
        images = await asyncio.gather(*reading)
        at = datetime.now(UTC)
        self._report(await self._service.database.run(lambda u: self._fingerprints.register(u, images, at)))

    async def recalibrate(self) -> None:
        """At start: apply a changed distance to what is stored."""
        at = datetime.now(UTC)
        done = await self._service.database.run(lambda u: self._fingerprints.recalibrate(u, at))
        if done.revised:
            self._service.log.info("dedup.recalibrated", revised=done.revised)
        self._report(done)

    def _report(self, done: Registered) -> None:
        if done.widest > WIDE_NEIGHBOURS:
            self._service.log.warning(
                "dedup.distance-too-wide",
                neighbours=done.widest,
                remedy="lower MENAGERIE_MAX_DISTANCE_BITS (line art needs about 24) and restart dedup",
            )


def ranked_image(store: ObjectStore, message: ImageAccepted) -> RankedImage:
    """Fetch and hash one image.

    Raises:
        ObjectMissing, ObjectDamaged: the store has no such bytes (yet).
        Unprocessable: the bytes are those promised and cannot be hashed.
    """
    png = store.get(message.normalised)
    try:
        hash_ = fingerprint(png, message.content)
    except NotComparable as error:
        raise Unprocessable(f"{message.normalised.bucket}/{message.normalised.key}: {error}") from error
    return RankedImage(message.upload_id, message.image_id, hash_)
