"""Figures beside the numbers: bars of classes, lines of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.reporter.domain.curves import Chart, Curve, plot


def bar_shares(counts: Sequence[int], least: float = 0.4) -> list[float]:
    """Per cent of the largest count; an image at all is at least ``least`` wide."""
    most = max(counts, default=0)
    return [round(max(count / most * 100, least), 2) if count else 0.0 for count in counts]


def chart_of(runs: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Validation accuracy by epoch of each run; training accuracy where nothing was validated."""
    return plot([_curve(run) for run in runs])


def _curve(run: Mapping[str, Any]) -> Curve:
    validated = any(epoch["val_accuracy"] is not None for epoch in run["epochs"])
    name = "val_accuracy" if validated else "accuracy"
    points = tuple((epoch["epoch"], epoch[name]) for epoch in run["epochs"] if epoch[name] is not None)
    note = "validation accuracy" if validated else "training accuracy"
    return Curve(run["run_id"], run_title(run), note, points)


def run_title(run: Mapping[str, Any]) -> str:
    """``002 from 001``, ``trial from scratch``: what a person calls the run."""
    request, outcome = run["request"] or {}, run["outcome"] or {}
    version, base = outcome.get("model_version"), outcome.get("base_version") or request.get("base")
    if request.get("trial"):
        what = "Trial"
    elif version:
        what = f"Model {version}"
    else:
        what = "Throw-away run" if request.get("throw_away") else "Run"
    if base == "newest" and not version:
        return f"{what} from the newest model"
    return f"{what} from scratch" if base in (None, "scratch", "newest") else f"{what} from {base}"
