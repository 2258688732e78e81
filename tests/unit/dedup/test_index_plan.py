from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dedup.index.plan import MAX_PROBES, STARTS_BYTES_PER_WORD, Layout, best_layout, probes


@given(st.integers(1, 8), st.integers(1, 16), st.sampled_from([1, 2, 4]), st.integers(0, 60))
def test_what_is_within_the_distance_is_within_the_radius_of_some_band(
    per_word: int, width: int, words: int, distance: int
) -> None:
    how = probes(Layout(per_word, min(width, 64 // per_word)), words, distance)
    if how is None:
        return
    # Were each band farther than its radius, the whole would be farther than the distance.
    assert sum(radius + 1 for radius in how.radii.tolist()) == distance + 1
    masks = how.masks.tolist()
    assert len(set(masks)) == len(masks)
    for radius, count in zip(how.radii.tolist(), how.counts.tolist(), strict=True):
        all_near = {value for value in range(1 << min(width, 64 // per_word)) if value.bit_count() <= radius}
        assert set(masks[:count]) == all_near


def test_a_search_that_takes_too_many_look_ups_is_a_scan() -> None:
    assert probes(Layout(4, 16), 1, 8) is not None
    assert sum(probes(Layout(4, 16), 1, 8).counts) == 188 < MAX_PROBES  # type: ignore[union-attr]
    assert probes(Layout(1, 20), 1, 20) is None


@pytest.mark.parametrize(
    ("words", "distance", "rows", "layout"),
    [
        (1, 8, 1_000, None),
        (1, 8, 1_000_000, Layout(4, 16)),
        (1, 8, 10_000_000, Layout(3, 21)),
        (4, 24, 1_000, None),
        (4, 24, 1_000_000, Layout(3, 19)),
        (4, 72, 1_000_000, None),
        (4, 80, 10_000_000, None),
    ],
)
def test_the_layout_follows_the_hash_the_distance_and_the_size(
    words: int, distance: int, rows: int, layout: Layout | None
) -> None:
    assert best_layout(words, distance, rows) == layout


@given(st.sampled_from([1, 2, 4]), st.integers(0, 80), st.integers(200_000, 20_000_000))
def test_where_values_begin_takes_a_few_bytes_a_row(words: int, distance: int, rows: int) -> None:
    layout = best_layout(words, distance, rows)
    if layout is not None:
        assert 4 * words * layout.per_word << layout.width <= STARTS_BYTES_PER_WORD * words * rows


def test_kernels_run_where_nothing_compiled_can_be_kept(tmp_path: Path) -> None:
    """A read-only installation, and a user without a home."""
    (tmp_path / "lone.py").write_text(
        "from services.dedup.index.compiled import kernel\n"
        "@kernel\n"
        "def twice(number):\n"
        "    return 2 * number\n"
        "print(twice(21), type(twice._cache).__name__)\n"
    )
    (tmp_path / "__pycache__").write_text("in the way")
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "NUMBA_CACHE_DIR": ""}
    paths = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", "import lone"],
        env=os.environ | nowhere | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["42", "NullCache"]
