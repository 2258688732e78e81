"""Benchmark sets: hand-picked images that are never trained on (domain.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass

STANDARD = ("difficult", "out-of-scope", "most-common", "least-common")
"""Those that the gate has rules for; users add sets of their own by naming them."""


@dataclass(frozen=True)
class Membership:
    """The set an image is in; ``revision`` counts its changes from 1."""

    benchmark: str | None
    revision: int


@dataclass(frozen=True)
class BenchmarkSet:
    """Size of a set: images, and how many different labels they bear."""

    benchmark: str
    images: int
    labels: int


def benchmark_name(said: str | None) -> str | None:
    """The set that an uploader names; blank is none."""
    return (said or "").strip() or None
