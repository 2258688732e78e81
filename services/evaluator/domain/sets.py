"""Which images form which set: one per side, and one per benchmark name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.values import Side
from services.evaluator.domain.answers import NO_CLASS

SIDES = (Side.TRAIN.value, Side.VALIDATION.value, Side.TEST.value)
SCORED_SIDES = (*SIDES, Side.BENCHMARK.value)
DIFFICULT, OUT_OF_SCOPE = "difficult", "out-of-scope"
MOST_COMMON, LEAST_COMMON = "most-common", "least-common"
GATED = (DIFFICULT, OUT_OF_SCOPE, MOST_COMMON, LEAST_COMMON)
"""Benchmarks that the gate has rules for (domain.md sections 2 and 3)."""


def set_name(row: Mapping[str, Any]) -> str:
    """Name of the one set that a scored row is in.

    People write "Out of scope" and mean ``out-of-scope``; a benchmark called like a side keeps
    apart from it.
    """
    if row["side"] != Side.BENCHMARK:
        return str(row["side"])
    name = benchmark_name(str(row["benchmark"] or "benchmark"))
    return f"benchmark {name}" if name in SIDES else name


def benchmark_name(written: str) -> str:
    """One spelling of each benchmark that the gate has rules for; others as people write them."""
    spelled = "-".join(re.split(r"[\s_-]+", written.casefold().strip()))
    return spelled if spelled in GATED else written


def truth_of(row: Mapping[str, Any]) -> int:
    """Class index of the ground truth, or NO_CLASS. Out of scope means out, whatever its label says."""
    return NO_CLASS if set_name(row) == OUT_OF_SCOPE else int(row["class_index"])


def positions_by_set(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of each set: train, validation and test always, then the benchmarks by name."""
    positions: dict[str, list[int]] = {side: [] for side in SIDES}
    for benchmark in sorted(set(names) - set(SIDES)):
        positions[benchmark] = []
    for position, name in enumerate(names):
        positions[name].append(position)
    return positions
