"""Search and insert, one picture at a time: dedup's index beside its peers, the same hashes in one run.

BENCH_HASHES sets the sizes (comma-separated). The floor is one pass over all hashes with AVX-512, where the
processor has it: what a scan can reach at best.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.dedup.index import HashIndex, HashLog
from tests.support.hash_library import EagerIndex, random_hashes
from tests.support.hash_peers import crowding, peers, real_like, small_peers, table, times_us

SIZES = [int(size) for size in os.environ.get("BENCH_HASHES", "100000,1000000,10000000").split(",")]
SMALL = 5_000
BATCH = 64
HASHES = {"random": random_hashes, "real-like": real_like}


def filled(index: HashIndex, rows: NDArray[np.uint8]) -> HashIndex:
    for start in range(0, len(rows), 100_000):
        part = rows[start : start + 100_000]
        index.extend(np.arange(start, start + len(part)), part)
    return index


def in_us(least: float, median: float) -> str:
    return f"{median:12.1f} us median {least:12.1f} us least"


@pytest.mark.parametrize("kind", HASHES)
@pytest.mark.parametrize(("bits", "distance"), [(64, 8), (256, 24), (256, 72)])
@pytest.mark.parametrize("images", SIZES)
def test_search(images: int, bits: int, distance: int, kind: str) -> None:
    if images * bits > 10_000_000 * 64:
        images = 10_000_000 * 64 // bits
    rows = HASHES[kind](0, images, bits)
    random = np.random.default_rng(1)
    queries = rows[random.integers(0, images, 401)] ^ np.packbits(random.random((401, bits)) < 0.01, axis=1)
    index = filled(HashIndex(bits, distance), rows)
    scan = filled(EagerIndex(bits, distance, None), rows)
    bands = index._bands
    measured = [
        ("rows in a 16-bit band against chance", f"{crowding(rows):12.1f} times"),
        (
            f"HashIndex ({len(bands.rows)} bands of {bands.width})" if bands else "HashIndex (scan)",
            in_us(*times_us(lambda run: index.near(queries[run : run + 1], distance), 400)),
        ),
        (
            "floor: all rows once",
            in_us(*times_us(lambda run: scan.near(queries[run : run + 1], distance), 15)),
        ),
        (
            f"HashIndex, {BATCH} queries together, each",
            in_us(
                *(
                    t / BATCH
                    for t in times_us(lambda run: index.near(queries[run : run + BATCH], distance), 5)
                )
            ),
        ),
    ]
    wanted = set(index.near(queries[:1], distance).position.tolist())
    for name, search in peers(rows, distance).items():
        if search is None:
            measured.append((name, "not installed, or not exact at this distance"))
            continue
        found = search(queries[:1])
        if isinstance(found, tuple):
            assert set(found[2].tolist()) == wanted
        measured.append((name, in_us(*times_us(lambda run: search(queries[run : run + 1]), 7))))  # noqa: B023
    table(f"{images:,} {kind} hashes of {bits} bits within {distance}: one search", measured)


def test_search_of_small_libraries() -> None:
    rows = random_hashes(0, SMALL, 64)
    index = filled(HashIndex(64, 8), rows)
    measured = [("HashIndex", in_us(*times_us(lambda run: index.near(rows[run : run + 1], 8), 100)))]
    for name, search in small_peers(rows, 8).items():
        timed = search and in_us(*times_us(lambda run: search(rows[run : run + 1]), 5))  # noqa: B023
        measured.append((name, timed or "not installed"))
    table(f"{SMALL:,} hashes of 64 bits within 8: one search", measured)


@pytest.mark.parametrize("kind", HASHES)
@pytest.mark.parametrize("images", SIZES)
def test_search_and_insert(images: int, kind: str, tmp_path: Path) -> None:
    rows = HASHES[kind](0, images + 40_000, 64)
    index = filled(HashIndex(64, 8), rows[:images])
    log, _ = HashLog.open(tmp_path, "bench", 64)
    numbers = count(images)

    def arrive(rows_together: int, synced_together: int) -> None:
        """Search and insert; one write to disk for ``synced_together`` of them."""
        at = np.fromiter((next(numbers) for _ in range(synced_together)), np.int64, synced_together)
        for start in range(0, synced_together, rows_together):
            positions = at[start : start + rows_together]
            index.near(rows[positions], 8)
            index.extend(positions, rows[positions])
        log.append(at + 1, at, rows[at], np.zeros(len(at), np.bool_))

    one_by_one = times_us(lambda _: arrive(1, 64), 200)
    together = times_us(lambda _: arrive(64, 64), 200)
    synced = times_us(lambda _: arrive(1, 1), 300)
    log.close()
    log, held = HashLog.open(tmp_path, "bench", 64)
    log.close()
    table(
        f"{images:,} {kind} hashes of 64 bits within 8: search and insert, sync included, each",
        [
            ("one by one, one sync for 64", in_us(*(t / BATCH for t in one_by_one))),
            ("64 together, one sync for 64", in_us(*(t / BATCH for t in together))),
            ("one by one, a sync for each", in_us(*synced)),
            (
                "targets: the best exact peer, and in C",
                f"{150:12.1f} us and 32 us at 1,000,000; 1500 us at 10,000,000",
            ),
        ],
    )
    assert len(held.positions) == next(numbers) - images


@pytest.mark.parametrize("bits", [64, 256])
def test_restart(bits: int, tmp_path: Path) -> None:
    images = 1_000_000
    rows = random_hashes(0, images, bits)
    log, _ = HashLog.open(tmp_path, "bench", bits)
    for start in range(0, images, 1000):
        at = np.arange(start, start + 1000)
        log.append(at + 1, at, rows[at], at < 0)
    log.close()

    def read(_: int) -> None:
        log, held = HashLog.open(tmp_path, "bench", bits)
        log.close()
        assert len(held.positions) == images

    index = in_us(*times_us(lambda _: HashIndex(bits, 8).extend(np.arange(images), rows), 3))
    measured = [("log opened and read", in_us(*times_us(read, 5))), ("index filled", index)]
    table(f"{images:,} hashes of {bits} bits: a restart", measured)


MEMORY = """
import sys
import numpy as np
from services.dedup.index import HashIndex
from tests.support.hash_library import random_hashes

def resident(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

images, bits, distance = map(int, sys.argv[1:])
warm, index = HashIndex(bits, distance), HashIndex(bits, distance)
rows = random_hashes(0, 10_000, bits)
warm.extend(np.arange(10_000), rows)
warm.near(rows[:1], distance)
del warm
before = resident("VmRSS")
for start in range(0, images, 10_000):
    index.extend(np.arange(start, start + 10_000), random_hashes(start, 10_000, bits))
index.near(rows[:64], distance)
print((resident("VmRSS") - before) / images, (resident("VmHWM") - before) / images)
"""


@pytest.mark.parametrize("images", SIZES)
def test_memory(images: int) -> None:
    measured = []
    for bits, distance in ((64, 8), (256, 24), (256, 72))[: 1 if images > 1_000_000 else 3]:
        command = [sys.executable, "-c", MEMORY, str(images), str(bits), str(distance)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        resident, peak = (float(number) for number in done.stdout.split())
        figures = f"{resident:12.1f} bytes resident {peak:12.1f} at most while growing"
        measured.append((f"{bits} bits within {distance}", figures))
    table(f"{images:,} hashes added 10,000 at a time: memory of each", measured)
