"""Search of one 256-bit hash within 72 bits: dedup's index beside what one would write first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import imagehash
import numpy as np
import pytest

from services.dedup.domain.index import HashIndex

DISTANCE_BITS = 72
QUERIES = 15


def median_ms(work: Callable[[bytes], object], queries: list[bytes]) -> float:
    """Median wall time of one query; the first warms up."""
    work(queries[0])
    taken = []
    for query in queries:
        started = time.perf_counter()
        work(query)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def as_image_hash(packed: bytes) -> imagehash.ImageHash:
    """The same bits as the library's own object."""
    return imagehash.ImageHash(np.unpackbits(np.frombuffer(packed, np.uint8)).astype(bool).reshape(16, 16))


@pytest.mark.parametrize("images", [5_000, 100_000, 1_000_000])
def test_search(images: int) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (images, 32), np.uint8)
    queries = [row.tobytes() for row in rows[:QUERIES]]
    index = HashIndex()
    index.extend((position, row.tobytes()) for position, row in enumerate(rows))
    words = rows.view(np.uint64)

    def by_row(query: bytes) -> object:
        apart = np.bitwise_count(words ^ np.frombuffer(query, np.uint64)).sum(axis=1)
        return np.nonzero(apart <= DISTANCE_BITS)

    found = index.near(queries[3], DISTANCE_BITS)
    assert [position for position, _ in found] == by_row(queries[3])[0].tolist()  # type: ignore[index]
    print(
        f"\n{images:>9} images   HashIndex {median_ms(lambda q: index.near(q, DISTANCE_BITS), queries):8.3f} ms"
    )
    print(f"{'':>9}          numpy, one row a hash {median_ms(by_row, queries):8.3f} ms")
    if images <= 5_000:
        objects = [as_image_hash(row.tobytes()) for row in rows]

        def one_by_one(query: bytes) -> object:
            wanted = as_image_hash(query)
            return [position for position, other in enumerate(objects) if other - wanted <= DISTANCE_BITS]

        print(f"{'':>9}          imagehash objects in a loop {median_ms(one_by_one, queries[:3]):8.3f} ms")
