"""The nearest vectors by cosine, exactly: every new vector is compared with every other.

Parts of the mapped files become float32 and are searched by faiss (a matrix product, one thread): whatever
the size of the library, a search needs about 150 MB. One core compares 18 million pairs of 1,280 dimensions
a second, so 10,000 new images among 100,000 take about a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from services.dedup.vectors.files import Vectors

NEAREST = 10
"""So many others an image is offered with; of more copies, each also finds the others by itself."""
QUERIES_AT_ONCE = 4096
ROWS_AT_ONCE = 16_384
MARGIN = 1e-3
"""What a sum in another order may differ by: the similarity that counts is summed in one way."""


class Alike(NamedTuple):
    """Two images and the cosine of their vectors; ``image_id`` sorts before ``other_id``."""

    image_id: str
    other_id: str
    similarity: float


class _Nearest:
    """The most alike rows so far, for each of some queries: (queries, NEAREST), the best first."""

    def __init__(self, queries: int) -> None:
        self.similarity = np.full((queries, NEAREST), -np.inf, np.float32)
        self.number = np.full((queries, NEAREST), -1, np.int64)

    def add(self, part: slice, similarity: NDArray[np.float32], number: NDArray[np.int64]) -> None:
        similarity = np.hstack([self.similarity[part], similarity])
        number = np.hstack([self.number[part], number])
        best = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
        self.similarity[part] = np.take_along_axis(similarity, best, axis=1)
        self.number[part] = np.take_along_axis(number, best, axis=1)


def alike(new: Vectors, older: Sequence[Vectors], at_least: float) -> list[Alike]:
    """Pairs of a new image with one of its nearest, old or new, of at least that cosine; sorted.

    An image that is in several files counts once, by its first: no pair of it is found again.
    """
    faiss.omp_set_num_threads(1)  # of this thread; verdicts on uploads need the other cores
    fresh = _fresh([*older, new])
    queries = fresh[-1]
    nearest = _Nearest(len(queries))
    first = 0
    for vectors, chosen in zip([*older, new], fresh, strict=True):
        for start in range(0, len(chosen), ROWS_AT_ONCE):
            rows = chosen[start : start + ROWS_AT_ONCE]
            among_themselves = rows if vectors is new else None
            _search(
                new, queries, vectors.rows[rows].astype(np.float32), first + start, among_themselves, nearest
            )
        first += len(chosen)
    pairs = _pairs(new, queries, [*older, new], fresh, nearest, at_least)
    return sorted(set(pairs))


def _search(
    new: Vectors,
    queries: NDArray[np.int64],
    rows: NDArray[np.float32],
    first: int,
    own: NDArray[np.int64] | None,
    nearest: _Nearest,
) -> None:
    """Compare ``queries`` with ``rows``, whose numbers count from ``first``; ``own``: their own."""
    wanted = min(len(rows), NEAREST + (own is not None))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        part = slice(start, min(start + QUERIES_AT_ONCE, len(queries)))
        asked = new.rows[queries[part]].astype(np.float32)
        similarity, place = faiss.knn(asked, rows, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        if own is not None:
            similarity[own[place] == queries[part, None]] = -np.inf
        nearest.add(part, similarity, place + first)


def _fresh(files: Sequence[Vectors]) -> list[NDArray[np.int64]]:
    """Of each file the rows whose image is in none before it."""
    fresh = []
    known = np.empty(0, "S64")
    for vectors in files:
        unknown = np.flatnonzero(~np.isin(vectors.image_ids, known))
        fresh.append(unknown)
        known = np.union1d(known, vectors.image_ids[unknown])
    return fresh


def _pairs(
    new: Vectors,
    queries: NDArray[np.int64],
    files: Sequence[Vectors],
    fresh: Sequence[NDArray[np.int64]],
    nearest: _Nearest,
    at_least: float,
) -> Iterator[Alike]:
    ends = np.cumsum([len(chosen) for chosen in fresh])
    for query, column in np.argwhere(nearest.similarity >= at_least - MARGIN):
        number = nearest.number[query, column]
        file = int(np.searchsorted(ends, number, side="right"))
        row = fresh[file][number - (ends[file] - len(fresh[file]))]
        similarity = cosine(new.rows[queries[query]], files[file].rows[row])
        if similarity >= at_least:
            one = new.image_ids[queries[query]].decode()
            other = files[file].image_ids[row].decode()
            yield Alike(min(one, other), max(one, other), similarity)


def cosine(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    """Of two vectors of length 1, between -1 and 1, whichever comes first."""
    product = float(np.dot(one.astype(np.float64), other.astype(np.float64)))
    return round(max(-1.0, min(1.0, product)), 6)


def cosines(files: Sequence[Vectors], pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Of those ``pairs`` whose images both have a vector; an image's first file counts."""
    wanted = list(pairs)
    image_ids = np.array(sorted({image_id for pair in wanted for image_id in pair}), "S64")
    rows: dict[str, NDArray[np.float16]] = {}
    for vectors in files:
        if not len(vectors):
            continue
        place = np.searchsorted(vectors.image_ids, image_ids).clip(max=len(vectors) - 1)
        for number in np.flatnonzero(vectors.image_ids[place] == image_ids):
            rows.setdefault(image_ids[number].decode(), vectors.rows[place[number]])
    return {
        (one, other): cosine(rows[one], rows[other]) for one, other in wanted if one in rows and other in rows
    }
