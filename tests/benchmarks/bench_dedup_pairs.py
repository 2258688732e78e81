"""All pairs within a distance: dedup's index beside its peers, the same hashes in one run, one core.

BENCH_HASHES sets the number. What takes minutes is measured on part of the rows and scaled to all, which the
table says: comparing all with all grows with the square of the number.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from services.dedup.index import HashIndex
from tests.support.hash_library import EagerIndex, random_hashes
from tests.support.hash_peers import numpy_chunks, peers, real_like, table

IMAGES = int(os.environ.get("BENCH_HASHES", "1000000"))
MOST_COMPARISONS = 2e10
"""Of an index without bands, and 256-bit hashes within 72: a few seconds."""
QUERIES = 200
HASHES = {"random": random_hashes, "real-like": real_like}


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time: on a busy machine the second is nearer to what a quiet one takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def found(index: HashIndex, distance: int) -> int:
    return sum(len(hits.query) for hits in index.pairs(distance))


def filled(index: HashIndex, rows: NDArray[np.uint8]) -> HashIndex:
    index.extend(np.arange(len(rows)), rows)
    return index


def in_s(times: tuple[float, float], scale: float = 1.0) -> str:
    wall, processor = (taken * scale for taken in times)
    scaled = f"   (scaled {scale:,.0f} times)" if scale > 1 else ""
    return f"{wall:9.2f} s wall {processor:9.2f} s of a core{scaled}"


@pytest.mark.parametrize("kind", HASHES)
@pytest.mark.parametrize(("bits", "distance"), [(64, 4), (64, 8), (64, 10), (256, 24), (256, 72)])
def test_all_pairs(bits: int, distance: int, kind: str) -> None:
    rows = HASHES[kind](0, IMAGES, bits)
    warm = filled(HashIndex(bits, distance), rows[:20_000])
    found(warm, distance)
    found(filled(EagerIndex(bits, distance, None), rows[:100]), distance)
    index = filled(HashIndex(bits, distance), rows)
    part = min(IMAGES, int((2 * MOST_COMPARISONS) ** 0.5))
    counts: list[int] = []
    whole = index if index._bands is not None else filled(HashIndex(bits, distance), rows[:part])
    scale = (IMAGES / len(whole)) ** 2
    measured = [
        ("HashIndex: filling", in_s(seconds(lambda: filled(HashIndex(bits, distance), rows)))),
        ("HashIndex: pairs", in_s(seconds(lambda: counts.append(found(whole, distance))), scale)),
    ]
    if index._bands is not None:
        scan = filled(EagerIndex(bits, distance, None), rows[:part])
        measured.append(
            (
                "floor: all with all, AVX-512",
                in_s(seconds(lambda: found(scan, distance)), (IMAGES / part) ** 2),
            )
        )
    searches = {"numpy, row by row": numpy_chunks(rows, distance)} | peers(rows, distance)
    for name, search in searches.items():
        if search is None:
            measured.append((name, "not installed, or not exact at this distance"))
        elif name != "numpy bitwise_count":
            search(rows[:1])
            batch = name.startswith("faiss")
            queries = [rows[:QUERIES]] if batch else [rows[row : row + 1] for row in range(20)]
            taken = seconds(lambda: [search(query) for query in queries])  # noqa: B023
            asked = sum(len(query) for query in queries)
            measured.append((name, in_s(taken, IMAGES / asked / (1 if batch else 2))))
    table(
        f"{IMAGES:,} {kind} hashes of {bits} bits within {distance}: {counts[0]:,} pairs among {len(whole):,}",
        measured,
    )


@pytest.mark.parametrize(("bits", "distance"), [(64, 8), (256, 24), (256, 72)])
def test_bands_find_the_pairs_that_a_scan_finds(bits: int, distance: int) -> None:
    rows = real_like(3, 30_000, bits)
    banded, scan = filled(HashIndex(bits, distance), rows), filled(EagerIndex(bits, distance, None), rows)
    assert found(banded, distance) == found(scan, distance) > 0
