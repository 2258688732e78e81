from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.dedup.index import HashIndex, hashes
from services.dedup.index.plan import Layout
from tests.support.hash_library import (
    EagerIndex,
    as_list,
    clustered_hashes,
    near_by_force,
    pairs_by_force,
    random_hashes,
)

SEEDS = st.integers(0, 2**32)
BITS = st.sampled_from([64, 128, 256])
LAYOUTS = st.one_of(
    st.none(),
    st.builds(
        lambda per_word, width: Layout(per_word, min(width, 64 // per_word)),
        st.integers(1, 8),
        st.integers(1, 14),
    ),
)
few = hypothesis_settings(max_examples=40)


@st.composite
def libraries(draw: st.DrawFn, bits: int, most: int = 150) -> NDArray[np.uint8]:
    seed, count = draw(SEEDS), draw(st.integers(0, most))
    if draw(st.booleans()):
        return random_hashes(seed, count, bits)
    return clustered_hashes(seed, count, bits, apart_bits=draw(st.integers(0, 20)))


def filled(index: HashIndex, rows: NDArray[np.uint8], step: int = 37) -> HashIndex:
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        index.extend(np.arange(start, start + len(part)), part)
    return index


def stored(rows: NDArray[np.uint8]) -> dict[int, NDArray[np.uint8]]:
    return dict(enumerate(rows))


@few
@given(st.data(), BITS, LAYOUTS)
def test_a_search_finds_what_brute_force_finds_at_any_distance(
    data: st.DataObject, bits: int, layout: Layout | None
) -> None:
    rows = data.draw(libraries(bits))
    queries = np.concatenate([rows[:5], data.draw(libraries(bits, 5))])
    index = filled(EagerIndex(bits, 8, layout), rows, data.draw(st.integers(1, 60)))
    assert len(index) == len(rows)
    for distance in [0, 8, data.draw(st.integers(0, bits)), bits]:
        assert as_list(index.near(queries, distance)) == near_by_force(stored(rows), queries, distance)


@few
@given(st.data(), BITS, LAYOUTS)
def test_all_pairs_are_what_brute_force_finds_each_once(
    data: st.DataObject, bits: int, layout: Layout | None
) -> None:
    rows = data.draw(libraries(bits, 100))
    index = filled(EagerIndex(bits, 8, layout), rows, data.draw(st.integers(1, 60)))
    for distance in [0, 8, data.draw(st.integers(0, bits // 4))]:
        found = [hit for chunk in index.pairs(distance) for hit in as_list(chunk)]
        assert sorted(found) == pairs_by_force(stored(rows), distance)


@few
@given(st.data(), st.sampled_from([64, 256]), LAYOUTS)
def test_any_history_of_adding_removing_and_adding_again_is_answered_exactly(
    data: st.DataObject, bits: int, layout: Layout | None
) -> None:
    index, held = EagerIndex(bits, 8, layout), dict[int, NDArray[np.uint8]]()
    for _ in range(data.draw(st.integers(1, 12))):
        positions = np.array(data.draw(st.lists(st.integers(0, 60), max_size=20)), np.int64)
        if data.draw(st.booleans()):
            rows = clustered_hashes(data.draw(SEEDS), len(positions), bits, apart_bits=6, centres=2)
            index.extend(positions, rows)
            held |= dict(zip(positions.tolist(), rows, strict=True))
        else:
            index.remove(positions - 1)  # position -1 is never there
            for position in positions.tolist():
                held.pop(position - 1, None)
        assert len(index) == len(held)
    queries = clustered_hashes(3, 3, bits, apart_bits=6) if not held else np.stack(list(held.values())[:4])
    for distance in (0, 8, 30):
        assert as_list(index.near(queries, distance)) == near_by_force(held, queries, distance)
    found = [hit for chunk in index.pairs(8) for hit in as_list(chunk)]
    assert sorted(found) == pairs_by_force(held, 8)


@given(SEEDS, LAYOUTS)
@hypothesis_settings(max_examples=15)
def test_the_order_of_adding_changes_no_answer(seed: int, layout: Layout | None) -> None:
    rows = clustered_hashes(seed, 120, 64, apart_bits=8)
    order = np.random.default_rng(seed).permutation(120)
    index = EagerIndex(64, 8, layout)
    for start in range(0, 120, 17):
        part = order[start : start + 17]
        index.extend(part, rows[part])
    assert as_list(index.near(rows, 8)) == near_by_force(stored(rows), rows, 8)


@pytest.mark.parametrize(
    ("bits", "distance", "banded"), [(64, 8, True), (64, 20, False), (256, 24, True), (256, 72, False)]
)
def test_thousands_of_rows_are_laid_out_as_planned_and_answered_exactly(
    bits: int, distance: int, banded: bool
) -> None:
    rows = np.concatenate(
        [random_hashes(0, 25_000, bits), clustered_hashes(1, 5_000, bits, apart_bits=distance, centres=300)]
    )
    index = filled(HashIndex(bits, distance), rows, 1000)
    assert (index._bands is not None) is banded
    queries = rows[::1500]
    assert as_list(index.near(queries, distance)) == near_by_force(stored(rows), queries, distance)
    single = [hit for row in queries for hit in as_list(index.near(row[None], distance))]
    assert [hit[1:] for hit in single] == [hit[1:] for hit in as_list(index.near(queries, distance))]
    late = rows[-1500:]
    few_rows = filled(HashIndex(bits, distance), late, 1500)
    found = [hit for chunk in few_rows.pairs(distance) for hit in as_list(chunk)]
    assert sorted(found) == pairs_by_force(stored(late), distance)


@pytest.mark.parametrize("layout", [None, Layout(4, 16), Layout(3, 18)])
def test_equal_hashes_by_the_thousand_are_all_found(
    layout: Layout | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "CHUNK_HITS", 1 << 10)  # far less room than there are hits
    rows = clustered_hashes(5, 1300, 64, apart_bits=3, centres=1)
    index = filled(EagerIndex(64, 8, layout), rows, 400)
    assert as_list(index.near(rows[:3], 3)) == near_by_force(stored(rows), rows[:3], 3)
    found = [hit for chunk in index.pairs(1) for hit in as_list(chunk)]
    assert sorted(found) == pairs_by_force(stored(rows), 1)


@pytest.mark.parametrize("bits", [64, 256])
def test_removing_most_rows_gives_their_room_back(bits: int) -> None:
    rows = clustered_hashes(6, 9_000, bits, apart_bits=10, centres=500)
    index = filled(HashIndex(bits, 8), rows, 3000)
    kept = list(range(0, 9_000, 9))
    index.remove(np.setdiff1d(np.arange(9_000), kept))
    held = {position: rows[position] for position in kept}
    assert len(index) == index._rows.count == len(kept)
    index.extend(np.array([1, 2]), rows[1:3])
    held |= {1: rows[1], 2: rows[2]}
    assert as_list(index.near(rows[:50], 8)) == near_by_force(held, rows[:50], 8)


def test_positions_may_be_as_large_as_a_number_gets() -> None:
    index = HashIndex(256, 24)
    index.extend(np.array([5, 2**62]), np.array([[0] * 32, [255] * 32], np.uint8))
    assert as_list(index.near(np.zeros((1, 32), np.uint8), 256)) == [(0, 5, 0), (0, 2**62, 256)]


def test_an_empty_index_and_a_negative_distance_find_nothing() -> None:
    index = HashIndex(64, 8)
    query = np.zeros((1, 8), np.uint8)
    assert as_list(index.near(query, 64)) == []
    assert list(index.pairs(64)) == []
    index.remove(np.array([3]))
    index.extend(np.empty(0, np.int64), np.empty((0, 8), np.uint8))
    index.extend(np.array([1, 2]), np.zeros((2, 8), np.uint8))
    assert as_list(index.near(query, -1)) == []
    assert list(index.pairs(-1)) == []


def test_what_cannot_be_indexed_is_refused_by_name() -> None:
    index = HashIndex(64, 8)
    with pytest.raises(ValueError, match="multiple of 64"):
        HashIndex(100, 8)
    with pytest.raises(ValueError, match=r"shape \(1, 32\)"):
        index.near(np.zeros((1, 32), np.uint8), 8)
    with pytest.raises(ValueError, match="2 positions for 1 hashes"):
        index.extend(np.array([1, 2]), np.zeros((1, 8), np.uint8))
    with pytest.raises(ValueError, match="Position -4 is negative"):
        index.extend(np.array([-4]), np.zeros((1, 8), np.uint8))
    assert len(index) == 0
