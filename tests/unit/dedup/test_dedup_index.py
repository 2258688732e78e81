from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.dedup.domain import index as index_module
from services.dedup.domain.index import HashIndex

HASHES = st.binary(min_size=32, max_size=32)


def brute_force(hashes: list[bytes], query: bytes, distance: int) -> list[tuple[int, int]]:
    apart = [(int.from_bytes(h) ^ int.from_bytes(query)).bit_count() for h in hashes]
    return [(position, bits) for position, bits in enumerate(apart) if bits <= distance]


def clustered(seed: int, count: int) -> list[bytes]:
    """Hashes with up to 40 bits changed from one of a few centres, as real libraries have them."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2, (5, 256), np.uint8)
    bits = centres[random.integers(0, 5, count)]
    for row in bits:
        row[random.integers(0, 256, random.integers(0, 41))] ^= 1
    return [packed.tobytes() for packed in np.packbits(bits, axis=1)]


@given(st.lists(HASHES, max_size=40), HASHES, st.integers(0, 255))
def test_the_index_finds_what_brute_force_finds(hashes: list[bytes], query: bytes, distance: int) -> None:
    index = HashIndex()
    index.extend(enumerate(hashes))
    assert index.near(query, distance) == brute_force(hashes, query, distance)


@given(st.integers(0, 2**32), st.sampled_from([0, 24, 72, 200]))
def test_clustered_hashes_are_found_across_chunks_and_growth(seed: int, distance: int) -> None:
    hashes = clustered(seed, 300)
    index = HashIndex()
    for start in range(0, 300, 37):
        index.extend(enumerate(hashes[start : start + 37], start=start))
    assert len(index) == 300
    for query in hashes[:3]:
        assert index.near(query, distance) == brute_force(hashes, query, distance)


def test_a_scan_reaches_past_one_chunk() -> None:
    hashes = clustered(3, index_module.CHUNK_ROWS + 100)
    index = HashIndex()
    index.extend(enumerate(hashes))
    assert (len(hashes) - 1, 0) in index.near(hashes[-1], 0)
    assert index.near(hashes[7], 30) == brute_force(hashes, hashes[7], 30)


def test_positions_need_not_be_dense() -> None:
    index = HashIndex()
    index.extend([(5, bytes(32)), (2_000_000_000, b"\xff" * 32)])
    assert index.near(bytes(32), 0) == [(5, 0)]
    assert index.near(b"\xff" * 32, 255) == [(2_000_000_000, 0)]


def test_an_empty_index_finds_nothing() -> None:
    assert HashIndex().near(bytes(32), 255) == []
