"""Originals become pictures in the store: fetched, decoded and put, each chunk on its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

from contracts.manifests import Buckets
from contracts.values import ImageId, ObjectRef
from services.ingest.decoding.pool import Decoded, Decoder, chunks
from services.ingest.domain.facts import PictureObjects
from services.ingest.domain.intake import refused_unread
from services.ingest.domain.picture import Normalised
from services.runtime.objectstore import ObjectStore

T = TypeVar("T")
Args = TypeVarTuple("Args")

GROUP_BYTES = 64 * 2**20
"""Originals held at once: two of the largest files, or a whole batch of phone photos. With their copies
on the way to a decoder and the pictures on the way back the service needs less than three times that,
whatever is uploaded (tests/component/test_ingest_hostile_files.py).
"""


@dataclass
class Made:
    """What became of each original, and where the pictures of the good ones lie."""

    decoded: dict[ImageId, Decoded] = field(default_factory=dict)
    objects: dict[ImageId, PictureObjects] = field(default_factory=dict)


class Pictures:
    """Makes the library's pictures; nothing refers to them yet, so any part may be made twice."""

    def __init__(
        self, store: ObjectStore, threads: ThreadPoolExecutor, decoder: Decoder, max_file_bytes: int
    ) -> None:
        self._store = store
        self._threads = threads
        self._decoder = decoder
        self._max_file_bytes = max_file_bytes

    async def make(self, originals: Sequence[ObjectRef]) -> Made:
        """A result for every original.

        Raises:
            ObjectMissing, ObjectDamaged: an original is not in the store as announced.
            DecoderBroken: nothing can be decoded at the moment.
        """
        made = Made()
        readable = []
        for ref in originals:
            refusal = refused_unread(ref.size, self._max_file_bytes)
            if refusal is None:
                readable.append(ref)
            else:
                made.decoded[ref.sha256] = refusal
        for group in _groups(readable):
            # Chunks do not wait for each other: while one is decoded others are fetched and put.
            # All are waited for, so that none still works when the batch is tried again.
            ended = await asyncio.gather(
                *(self._make(chunk, made) for chunk in chunks(group, lambda ref: ref.size)),
                return_exceptions=True,
            )
            for fault in ended:
                if fault is not None:
                    raise fault
        return made

    async def _make(self, originals: Sequence[ObjectRef], made: Made) -> None:
        files = await asyncio.gather(*(self._in_thread(self._store.get, ref) for ref in originals))
        results = await self._decoder.decode(files)
        pictures = {
            ref.sha256: result
            for ref, result in zip(originals, results, strict=True)
            if isinstance(result, Normalised)
        }
        stored = await asyncio.gather(*(self._in_thread(self._put, item) for item in pictures.values()))
        made.decoded.update(zip((ref.sha256 for ref in originals), results, strict=True))
        made.objects.update(zip(pictures, stored, strict=True))

    def _put(self, picture: Normalised) -> PictureObjects:
        # Keys are digests of the content, not image ids: an object never changes under its key,
        # so a reference in an event stays true when another replica, or another picture size,
        # normalises the same image again.
        return PictureObjects(
            normalised=self._put_content("normalised", picture.png, "png", "image/png"),
            thumbnail=self._put_content("thumbnails", picture.thumbnail, "webp", "image/webp"),
        )

    def _put_content(self, folder: str, data: bytes, suffix: str, content_type: str) -> ObjectRef:
        key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{suffix}"
        return self._store.put(Buckets.LIBRARY, key, data, content_type)

    async def _in_thread(self, work: Callable[[*Args], T], *args: *Args) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def _groups(originals: Sequence[ObjectRef]) -> Iterator[list[ObjectRef]]:
    group: list[ObjectRef] = []
    size = 0
    for ref in originals:
        if group and size + ref.size > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(ref)
        size += ref.size
    if group:
        yield group
