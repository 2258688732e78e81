"""Exact search of similarity vectors."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dedup.vectors import search
from services.dedup.vectors.files import Vectors
from services.dedup.vectors.search import NEAREST, Alike, alike, cosine

AT_LEAST = 0.8
DIMENSIONS = 24


def name(number: int) -> bytes:
    return hashlib.sha256(f"{number}".encode()).hexdigest().encode()


def of_numbers(numbers: list[int], clusters: int = 7, noise: float = 0.1) -> Vectors:
    """Vectors that depend on the image alone: those of one cluster are alike."""
    rows = np.empty((len(numbers), DIMENSIONS), np.float64)
    for row, number in enumerate(numbers):
        rows[row] = np.random.default_rng(number % clusters).normal(size=DIMENSIONS)
        rows[row] += np.random.default_rng(1000 + number).normal(0, noise, DIMENSIONS)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) if len(rows) else 1
    image_ids = np.array([name(number) for number in numbers], "S64")
    order = np.argsort(image_ids)
    return Vectors(image_ids[order], rows[order].astype(np.float16))


def by_hand(new: Vectors, older: list[Vectors], at_least: float) -> list[Alike]:
    """Every pair compared, one image after the other."""
    known: dict[bytes, np.ndarray] = {}
    for vectors in older:
        for image_id, row in zip(vectors.image_ids, vectors.rows, strict=True):
            known.setdefault(image_id, row)
    fresh = {i: r for i, r in zip(new.image_ids, new.rows, strict=True) if i not in known}
    found = set()
    for one, row in fresh.items():
        near = sorted(
            ((cosine(row, rest), other) for other, rest in (known | fresh).items() if other != one),
            reverse=True,
        )
        for similarity, other in near[:NEAREST]:
            if similarity >= at_least:
                found.add(Alike(min(one, other).decode(), max(one, other).decode(), similarity))
    return sorted(found)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 60), max_size=25, unique=True), min_size=1, max_size=4),
    st.sampled_from([1, 3, 100]),
    st.sampled_from([2, 7, 100]),
)
def test_it_finds_what_comparing_all_with_all_finds(
    numbers: list[list[int]], rows_at_once: int, queries_at_once: int
) -> None:
    files = [of_numbers(part) for part in numbers]
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(search, "ROWS_AT_ONCE", rows_at_once)
        changed.setattr(search, "QUERIES_AT_ONCE", queries_at_once)
        assert alike(files[-1], files[:-1], AT_LEAST) == by_hand(files[-1], files[:-1], AT_LEAST)


def test_an_image_of_an_earlier_file_is_not_searched_again() -> None:
    file = of_numbers(list(range(30)))
    assert alike(file, [], AT_LEAST)
    assert alike(file, [file], AT_LEAST) == []


def test_an_image_is_never_its_own_pair() -> None:
    assert all(pair.image_id < pair.other_id for pair in alike(of_numbers(list(range(30))), [], -1.0))


def test_every_image_of_many_copies_is_found_by_its_nearest() -> None:
    copies = of_numbers(list(range(0, 400, 2)), clusters=1, noise=0.01)
    found = alike(copies, [], AT_LEAST)
    assert {image for pair in found for image in pair[:2]} == {i.decode() for i in copies.image_ids}
    assert len(copies) * NEAREST / 2 <= len(found) <= len(copies) * NEAREST


def test_no_vectors_have_no_pairs() -> None:
    assert alike(of_numbers([]), [], AT_LEAST) == []
    assert alike(of_numbers([]), [of_numbers([1, 2])], AT_LEAST) == []
    assert alike(of_numbers([1]), [of_numbers([])], AT_LEAST) == []
