"""Distances between pictures that may be turned against each other, the same from both sides.

The hash of a turned picture differs by a few bits from what turning makes of the hash, so "one turned beside
the other" and "the other turned back beside the one" are two distances. The greater of the two counts: it
does not depend on who asks, and whoever asks the index with his own turned hashes misses nothing by it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.values import Orientation
from services.dedup.domain.fingerprint import HASH_BYTES, HASH_SIZE

Bytes = NDArray[np.uint8]

ORIENTATIONS = tuple(Orientation)
"""The order of the hashes in ``Fingerprint.turned``."""
BACK = {orientation: orientation for orientation in Orientation} | {
    Orientation.ROTATE_90: Orientation.ROTATE_270,
    Orientation.ROTATE_270: Orientation.ROTATE_90,
}
"""What undoes each orientation; mirroring undoes itself."""
_BACK_INDEX = np.array([ORIENTATIONS.index(BACK[orientation]) for orientation in ORIENTATIONS])
_ODD = (np.arange(HASH_SIZE) % 2).astype(bool)


def turned_hashes(hash_: bytes) -> bytes:
    """8 x 32 bytes: what turning makes of a hash, for pictures whose turned hashes were not kept.

    A mirrored picture has the negative of every odd frequency along that axis, and the transposed one the
    transposed frequencies. On photos 7 bits of 256 differ from the hash of the turned picture.
    """
    bits = np.unpackbits(np.frombuffer(hash_, np.uint8)).astype(bool).reshape(HASH_SIZE, HASH_SIZE)
    across, down = _ODD, _ODD[:, None]
    made = {
        Orientation.SAME: bits,
        Orientation.FLIP_LEFT_RIGHT: bits ^ across,
        Orientation.FLIP_TOP_BOTTOM: bits ^ down,
        Orientation.ROTATE_90: bits.T ^ down,
        Orientation.ROTATE_180: bits ^ across ^ down,
        Orientation.ROTATE_270: bits.T ^ across,
        Orientation.TRANSPOSE: bits.T,
        Orientation.TRANSVERSE: bits.T ^ across ^ down,
    }
    return b"".join(np.packbits(made[orientation]).tobytes() for orientation in ORIENTATIONS)


def turned_distances(one: Bytes, other: Bytes) -> NDArray[np.int32]:
    """Distances in bits of pairs, (n, 8): the one turned by each orientation beside the other.

    ``one`` and ``other`` are (n, 8, 32): all turned hashes of each picture.
    """
    forth = _distances(one, other[:, :1])
    back = _distances(other[:, _BACK_INDEX], one[:, :1])
    return np.maximum(forth, back)


def as_turned(hashes: list[bytes]) -> Bytes:
    """(n, 8, 32) of as many strings of 8 x 32 bytes."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, len(ORIENTATIONS), HASH_BYTES)


def _distances(one: Bytes, other: Bytes) -> NDArray[np.int32]:
    apart = np.ascontiguousarray(one).view(np.uint64) ^ np.ascontiguousarray(other).view(np.uint64)
    distances: NDArray[np.int32] = np.bitwise_count(apart).sum(axis=-1, dtype=np.int32)
    return distances
