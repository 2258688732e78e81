"""Nearest similarity vectors: dedup's search beside faiss flat, numpy and, where installed, usearch.

Usage: python -m tests.benchmarks.bench_dedup_vectors [IMAGES ...] [--queries N] [--dimensions N]
One thread each, cosine, the 10 nearest; random vectors, since exact search takes as long on any.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import numpy as np
from numpy.typing import NDArray

from services.dedup.vectors.files import Vectors
from services.dedup.vectors.search import NEAREST, ROWS_AT_ONCE, alike

Rows = NDArray[np.float32]
Search = Callable[[Rows, Rows], object]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=1280)
    chosen = parser.parse_args()
    faiss.omp_set_num_threads(1)
    searches: dict[str, Search] = {
        "dedup (half floats, faiss per part)": by_dedup,
        "faiss IndexFlatIP": by_faiss_flat,
        "faiss half floats (SQfp16)": by_faiss_half,
        "numpy": by_numpy,
    }
    if importlib.util.find_spec("usearch"):
        searches["usearch exact"] = by_usearch
    for images in chosen.images:
        stored = vectors(images, chosen.dimensions, seed=1)
        asked = vectors(chosen.queries, chosen.dimensions, seed=2)
        print(f"{images} images, {chosen.queries} queries, {chosen.dimensions} dimensions")
        for name, search in searches.items():
            start, busy = time.perf_counter(), time.process_time()
            search(stored, asked)
            wall, cpu = time.perf_counter() - start, time.process_time() - busy
            print(
                f"  {name:38} {wall:8.2f} s  {cpu:8.2f} s of a core  {1000 * cpu / len(asked):8.2f} ms a query"
            )


def vectors(count: int, dimensions: int, seed: int) -> Rows:
    """Of length 1, in any direction."""
    rows = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def by_dedup(stored: Rows, asked: Rows) -> object:
    """From half floats in memory, as from a mapped file; the queries are compared among themselves too."""
    return alike(as_file(asked, "b"), [as_file(stored, "a")], at_least=0.84)


def as_file(rows: Rows, prefix: str) -> Vectors:
    """Vectors as they lie on disk."""
    image_ids = np.array([f"{prefix}{number:063}" for number in range(len(rows))], "S64")
    return Vectors(image_ids, rows.astype(np.float16))


def by_faiss_flat(stored: Rows, asked: Rows) -> object:
    """All in memory: 4 bytes a dimension."""
    index = faiss.IndexFlatIP(stored.shape[1])
    index.add(stored)
    return index.search(asked, NEAREST)


def by_faiss_half(stored: Rows, asked: Rows) -> object:
    """All in memory: 2 bytes a dimension, made floats one by one."""
    index = faiss.IndexScalarQuantizer(
        stored.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.add(stored)
    return index.search(asked, NEAREST)


def by_numpy(stored: Rows, asked: Rows) -> object:
    """A matrix product and a partial sort, part by part."""
    best = np.full((len(asked), NEAREST), -np.inf, np.float32)
    for start in range(0, len(stored), ROWS_AT_ONCE):
        both = np.hstack([best, asked @ stored[start : start + ROWS_AT_ONCE].T])
        best = -np.partition(-both, NEAREST - 1, axis=1)[:, :NEAREST]
    return best


def by_usearch(stored: Rows, asked: Rows) -> object:
    """Exact search of the library."""
    usearch = importlib.import_module("usearch.index")  # no dependency of ours
    return usearch.search(stored, asked, NEAREST, usearch.MetricKind.IP, exact=True, threads=1)


if __name__ == "__main__":
    main()
