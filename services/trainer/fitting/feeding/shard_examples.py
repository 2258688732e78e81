"""Examples out of local copies of shards: read by offset, verified, decoded, some kept decoded."""

from __future__ import annotations

import hashlib

import numpy as np

from services.runtime.shards import MemberDamaged
from services.trainer.fitting.feeding.decoded import Decoded
from services.trainer.fitting.feeding.decoding import decode_into
from services.trainer.fitting.feeding.examples import Classes, Pixels
from services.trainer.fitting.feeding.local_shards import LocalShards
from services.trainer.fitting.feeding.places import Places


class ShardExamples:
    """Images at ``places`` of shards that are fetched; ``kept`` has decoded pixels by the number there."""

    def __init__(self, shards: LocalShards, places: Places, image_size_px: int, kept: Decoded) -> None:
        self._shards, self._places, self._size, self._kept = shards, places, image_size_px, kept
        self._verified = np.zeros(len(places), np.bool_)

    @property
    def classes(self) -> Classes:
        """Class indices [N]."""
        return self._places.classes

    def __len__(self) -> int:
        return len(self._places)

    def pixels(self, chosen: Classes) -> Pixels:
        """RGB [n, S, S, 3] of the images numbered ``chosen``.

        Raises:
            MemberDamaged: the shard does not hold the image that the manifest names.
            TrainingError: an image is no RGB picture of that size.
        """
        out = np.empty((len(chosen), self._size, self._size, 3), np.uint8)
        for image, number in zip(out, chosen, strict=True):
            if not self._kept.read(number, image):
                decode_into(self._png(number), image, self._places.image_id(number))
                self._kept.keep(number, image)
        return out

    def _png(self, number: int) -> bytes:
        places = self._places
        place = (
            places.shards[places.shard_of[number]],
            int(places.offsets[number]),
            int(places.sizes[number]),
        )
        png = self._shards.read(*place)
        if self._verified[number]:
            return png
        wanted = places.digests[number].tobytes()
        if hashlib.sha256(png).digest() != wanted:
            png = self._repaired(number, place, wanted)
        self._verified[number] = True
        return png

    def _repaired(self, number: int, place: tuple[str, int, int], wanted: bytes) -> bytes:
        """A power cut can lose what the journal says is there: the store has the last word."""
        shard, offset, size = place
        png = self._shards.read_anew(shard, offset, size)
        if hashlib.sha256(png).digest() != wanted:
            raise MemberDamaged(
                f"image {self._places.image_id(number)} at offset {offset} of shard {shard} "
                f"({len(png)} of {size} bytes) has another digest than the manifest's "
                f"{wanted.hex()}; pack the snapshot again"
            )
        self._shards.repair(shard, offset, png)
        return png
