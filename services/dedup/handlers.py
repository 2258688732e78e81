"""What dedup does with each message it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.events import ImageAccepted, ImageLabelled, ImageUnlabelled
from services.dedup.domain.faults import ActionRefused, NotYetKnown
from services.dedup.domain.fingerprint import NotComparable, fingerprint
from services.dedup.judging import Judged, Judging
from services.dedup.resolving import Resolving
from services.dedup.store.images import Arrival, count_images, known_images
from services.dedup.store.labels import LabelNews
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.objectstore import ObjectStore
from services.runtime.service import Service

WIDE_NEIGHBOURS = 1000
"""So many images linked to one mean that the distance is set too wide for the library. Verdicts stay
exact, but each reads as many rows as it has neighbours."""


class Handlers:
    """Every method may be called twice with the same message; a batch is one transaction."""

    def __init__(
        self, service: Service, judging: Judging, resolving: Resolving, threads: ThreadPoolExecutor
    ) -> None:
        self._service = service
        self._database = service.database
        self._judging = judging
        self._resolving = resolving
        self._threads = threads

    async def images(self, deliveries: Sequence[Delivery[ImageAccepted]]) -> None:
        """Fingerprint and judge what is not known yet; a missing object is tried again later."""
        messages = {delivery.message.image_id: delivery.message for delivery in deliveries}
        known = await self._database.read(lambda c: known_images(c, messages))
        loop, store = asyncio.get_running_loop(), self._service.store
        new = [message for image_id, message in messages.items() if image_id not in known]
        reading = [loop.run_in_executor(self._threads, arrival, store, message) for message in new]
        arrivals = await asyncio.gather(*reading)
        if arrivals:
            at = datetime.now(UTC)
            self._report(await self._database.run(lambda u: self._judging.accept(u, arrivals, at)))

    async def labels(self, deliveries: Sequence[Delivery[ImageLabelled | ImageUnlabelled]]) -> None:
        """What a person rejected leaves the library; anything else brings it back."""
        newest: dict[str, LabelNews] = {}
        for delivery in deliveries:
            news = LabelNews.of(delivery.message)
            if news.image_id not in newest or newest[news.image_id].revision < news.revision:
                newest[news.image_id] = news
        at = datetime.now(UTC)
        self._report(await self._database.run(lambda u: self._judging.label(u, newest.values(), at)))

    async def resolutions(self, deliveries: Sequence[Delivery[ResolveDuplicate | UndoDuplicate]]) -> None:
        """What people decide of pairs; an image or a request not heard of yet is waited for."""
        at = datetime.now(UTC)
        try:
            await self._database.run(
                lambda u: [self._resolving.perform(u, d.message, at) for d in deliveries]
            )
        except NotYetKnown:
            raise
        except ActionRefused as refused:
            raise Unprocessable(str(refused)) from refused

    async def prepare(self) -> None:
        """At start: load the index, and apply changed limits to all that is stored."""
        work_dir, log = self._service.settings.work_dir, self._service.log
        await self._database.run(lambda unit: self._judging.open(unit, work_dir))
        judged = 0
        while True:
            step = await self._database.run(lambda unit: self._judging.recalibrate(unit, datetime.now(UTC)))
            if not step:
                return
            judged += step
            images = await self._database.read(count_images)
            log.info("dedup.recalibrating", judged=judged, images=images)

    async def close(self) -> None:
        """At the end."""
        self._threads.shutdown()
        self._judging.close()

    def _report(self, done: Judged) -> None:
        if done.widest > WIDE_NEIGHBOURS:
            self._service.log.warning(
                "dedup.distance-too-wide",
                neighbours=done.widest,
                remedy="lower MENAGERIE_MAX_DISTANCE_BITS (line art needs about 24) and restart dedup",
            )


def arrival(store: ObjectStore, message: ImageAccepted) -> Arrival:
    """Fetch and hash one image.

    Raises:
        ObjectMissing, ObjectDamaged: the store has no such bytes (yet).
        Unprocessable: the bytes are those promised and cannot be hashed.
    """
    png = store.get(message.normalised)
    try:
        made = fingerprint(png, message.content)
    except NotComparable as error:
        raise Unprocessable(f"{message.normalised.bucket}/{message.normalised.key}: {error}") from error
    return Arrival.of(message, made)
