"""Training curves laid out as a line chart (pixels of its view box)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 520, 280
LEFT, RIGHT, TOP, BOTTOM = 54, 68, 14, 34
LABEL_ROOM = 16.0
TICKS_X = 6


@dataclass(frozen=True)
class Curve:
    """Accuracy (0..1) by epoch of one run; ``None`` where nothing was measured."""

    run_id: str
    title: str
    note: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Line:
    """One curve as drawn."""

    number: int
    title: str
    note: str
    path: str
    end_x: float
    end_y: float
    label_y: float
    last: float
    best: float
    best_epoch: int


@dataclass(frozen=True)
class Tick:
    """A grid line with its caption."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines over a grid."""

    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def plot(curves: Sequence[Curve]) -> Chart | None:
    """The chart of all curves that have a point; None when there is none."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return None
    epochs = max(max(epoch for epoch, _ in curve.points) for curve in drawn)
    least = min(min(value for _, value in curve.points) for curve in drawn)
    floor = math.floor(min(least, 0.9) * 10) / 10

    def x(epoch: float) -> float:
        # A single epoch stands in the middle instead of on the axis.
        share = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        share = (value - floor) / (1.0 - floor)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    ends = _spread([y(curve.points[-1][1]) for curve in drawn])
    lines = []
    for number, (curve, label_y) in enumerate(zip(drawn, ends, strict=True), 1):
        path = "M" + " L".join(f"{x(epoch)},{y(value)}" for epoch, value in curve.points)
        last_epoch, last = curve.points[-1]
        best_epoch, best = max(curve.points, key=lambda point: (point[1], -point[0]))
        lines.append(
            Line(
                number,
                curve.title,
                curve.note,
                path,
                x(last_epoch),
                y(last),
                label_y,
                last,
                best,
                best_epoch,
            )
        )
    return Chart(
        tuple(lines),
        tuple(Tick(x(epoch), str(epoch)) for epoch in _epoch_ticks(epochs)),
        tuple(Tick(y(value), f"{value:.0%}") for value in _share_ticks(floor)),
    )


def _epoch_ticks(epochs: int) -> list[int]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 1000) if epochs / step <= TICKS_X)
    # The first epoch always, then round numbers, without two captions on top of each other.
    return [1, *(epoch for epoch in range(step, epochs + 1, step) if epoch > 1 + step * 0.4)]


def _share_ticks(floor: float) -> list[float]:
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.25) if (1.0 - floor) / step <= 5.5)
    count = round((1.0 - floor) / step)
    return [1.0 - step * number for number in range(count + 1) if 1.0 - step * number >= floor - 1e-9]


def _spread(places: Sequence[float]) -> list[float]:
    """Captions in the same order, pushed down until none covers another."""
    spread = list(places)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for above, below in itertools.pairwise(order):
        spread[below] = max(spread[below], spread[above] + LABEL_ROOM)
    overflow = max(spread, default=0.0) - (HEIGHT - BOTTOM)
    return [round(place - max(overflow, 0.0), 1) for place in spread]
