"""What else one could search hashes with, for the benchmarks; and hashes that crowd as real ones do."""

from __future__ import annotations

import importlib
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Search = Callable[[NDArray[np.uint8]], Any]
"""One query, shape (1, bits // 8)."""
CHUNK_ROWS = 1 << 14
BIT_BIAS = 0.12
"""Spread of how often a bit is set: makes bands of 16 bits about 2.5 times as full as by chance."""
COPIES = 0.3
"""Share of pictures that are variants of another, most 0 to 10 bits from it."""


def real_like(seed: int, count: int, bits: int) -> NDArray[np.uint8]:
    """Hashes with uneven bits and with copies: what makes real libraries slower to search than noise."""
    random = np.random.default_rng(seed)
    ones = np.clip(random.normal(0.5, BIT_BIAS, bits), 0.1, 0.9)
    rows = np.empty((count, bits // 8), np.uint8)
    for start in range(0, count, 50_000):
        part = min(50_000, count - start)
        rows[start : start + part] = np.packbits(random.random((part, bits), np.float32) < ones, axis=1)
    copies = np.flatnonzero(random.random(count) < COPIES)
    rows[copies] = rows[random.integers(0, count, len(copies))]
    for _ in range(10):
        changed = copies[random.random(len(copies)) < 0.5]
        bit = random.integers(0, bits, len(changed))
        rows[changed, bit // 8] ^= (1 << (bit % 8)).astype(np.uint8)
    return rows


def crowding(rows: NDArray[np.uint8]) -> float:
    """How many times as many rows share a row's 16-bit band as by chance, over the first four bands."""
    bands = rows.view(np.uint16)[:, :4]
    counts = [np.bincount(band, minlength=1 << 16).astype(float) for band in bands.T]
    return float(np.mean([(count**2).sum() / len(rows) ** 2 * (1 << 16) for count in counts]))


def times_us(work: Callable[[int], object], runs: int) -> tuple[float, float]:
    """Least and median wall time of a call in microseconds; the first call warms up and is not counted."""
    work(0)
    taken = []
    for run in range(1, runs + 1):
        started = time.perf_counter()
        work(run)
        taken.append(time.perf_counter() - started)
    return min(taken) * 1e6, statistics.median(taken) * 1e6


def load() -> str:
    """How busy the machine is while this is measured."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def numpy_chunks(rows: NDArray[np.uint8], distance_bits: int) -> Search:
    """`bitwise_count` over chunks that stay in the cache, one array a word."""
    columns = np.ascontiguousarray(rows.view(np.uint64).T)  # 8 bits a distance: 256 reads as 0, here seldom

    def search(query: NDArray[np.uint8]) -> list[int]:
        found: list[int] = []
        for start in range(0, len(rows), CHUNK_ROWS):
            words = query.view(np.uint64)[0]
            apart = np.bitwise_count(columns[0, start : start + CHUNK_ROWS] ^ words[0])
            for column, word in zip(columns[1:], words[1:], strict=True):
                apart += np.bitwise_count(column[start : start + CHUNK_ROWS] ^ word)
            found += (start + np.flatnonzero(apart <= distance_bits)).tolist()
        return found

    return search


def peers(rows: NDArray[np.uint8], distance_bits: int) -> dict[str, Search | None]:
    """By name; ``None`` where the library is not installed."""
    bits = rows.shape[1] * 8
    found: dict[str, Search | None] = {"numpy bitwise_count": numpy_chunks(rows, distance_bits)}
    faiss = _installed("faiss")
    found["faiss BinaryFlat"] = found["faiss MultiHash"] = None
    if faiss is not None:
        faiss.omp_set_num_threads(1)
        flat = faiss.IndexBinaryFlat(bits)
        flat.add(rows)
        found["faiss BinaryFlat"] = lambda query: flat.range_search(query, distance_bits + 1)
        bands = bits // 16
        hashed = faiss.IndexBinaryMultiHash(bits, bands, 16)
        hashed.nflip = distance_bits // bands
        if hashed.nflip <= 2:  # exact at so many flips; more take longer than a scan
            hashed.add(rows)
            found["faiss MultiHash"] = lambda query: hashed.range_search(query, distance_bits + 1)
    found["usearch exact"] = None
    if (usearch := _installed("usearch.index")) is not None:
        found["usearch exact"] = lambda query: usearch.search(
            rows, query, 10, usearch.MetricKind.Hamming, exact=True, threads=1
        )
    return found


def small_peers(rows: NDArray[np.uint8], distance_bits: int) -> dict[str, Search | None]:
    """Those that compare objects one by one."""
    imagehash: Any = importlib.import_module("imagehash")
    side = int((rows.shape[1] * 8) ** 0.5)

    def as_object(row: NDArray[np.uint8]) -> Any:
        return imagehash.ImageHash(np.unpackbits(row).astype(bool).reshape(side, side))

    objects = [as_object(row) for row in rows]

    def loop(query: NDArray[np.uint8]) -> list[int]:
        wanted = as_object(query[0])
        return [number for number, other in enumerate(objects) if other - wanted <= distance_bits]

    return {"imagehash in a loop": loop, "imagededup brute force": _imagededup(rows, distance_bits)}


def _imagededup(rows: NDArray[np.uint8], distance_bits: int) -> Search | None:
    brute = _installed("imagededup.handlers.search.brute_force")
    if brute is None:
        return None
    names = {str(number): row.tobytes().hex() for number, row in enumerate(rows)}
    held = brute.BruteForce(names, lambda one, other: (int(one, 16) ^ int(other, 16)).bit_count())
    return lambda query: held.search(query[0].tobytes().hex(), distance_bits)


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name) if importlib.util.find_spec(name) else None
    except ImportError:
        return None


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print names and what was measured."""
    print(f"\n{title}   ({load()})")
    for name, measured in rows:
        print(f"  {name:<44} {measured}")
