"""Charts laid out in pixels of their view box; the templates draw them, in the page's own colours.

No name that a person gave goes into a picture. Not by Matplotlib: it takes 1.3 s to import and 0.6 s for the
three charts of one set, and its colours would not follow the reader's light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.evaluator.page.formats import plain

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 40
DOTS_PX = (2.5, 7.0)
"""Radius of a point of the reliability curve, by its images."""
MOST_TICKS = 4
CAPTION_PX = 12.0
CAPTIONED = frozenset({50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 97.0, 99.0, 99.9})
"""Thresholds of the sweep that have room for their number."""


@dataclass(frozen=True)
class Tick:
    """A grid line with its caption."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A line that means something: a limit of the gate, the threshold."""

    at: float
    text: str
    kind: str


@dataclass(frozen=True)
class Frame:
    """What all charts share."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class SweepChart:
    """Right and wrong answers at or over each threshold, as shares of all images."""

    frame: Frame
    right: str
    wrong: str
    across: tuple[Mark, ...]
    upright: tuple[Mark, ...]


@dataclass(frozen=True)
class Dot:
    """A bin of the reliability curve, with its interval."""

    x: float
    y: float
    radius: float
    low: float
    high: float


@dataclass(frozen=True)
class ReliabilityChart:
    """Accuracy against confidence; on the diagonal 95 means right in 95 of 100."""

    frame: Frame
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Bar:
    """Answers of one confidence: right ones upwards from the base line, wrong ones downwards."""

    x: float
    width: float
    right_height: float
    wrong_height: float
    title: str


@dataclass(frozen=True)
class HistogramChart:
    """Answers by confidence."""

    frame: Frame
    base: float
    bars: tuple[Bar, ...]


def sweep_chart(
    lines: Sequence[dict[str, Any]],
    threshold: float,
    meeting: float | None,
    at_least: float | None,
    at_most: float | None,
) -> SweepChart:
    """Of a set's ``sweep``; limits are shares 0..1, ``meeting`` the threshold that meets the targets."""
    steps = [line["threshold_percent"] for line in lines]
    room = (WIDTH - LEFT - RIGHT) / (len(steps) - 1)
    ticks = tuple(Tick(_px(LEFT + room * at), f"{step:g}") for at, step in enumerate(steps))
    captions = tuple(tick for tick, step in zip(ticks, steps, strict=True) if step in CAPTIONED)

    def path(name: str) -> str:
        points = (f"{ticks[at].at},{_up(line[name])}" for at, line in enumerate(lines))
        return "M" + " L".join(points)

    limits = ((at_least, "at least", "least"), (at_most, "at most", "most"))
    across = tuple(
        Mark(_up(share), f"{words} {plain(share * 100)} %", kind)
        for share, words, kind in limits
        if share is not None
    )
    marks = [(threshold, f"in use: {plain(threshold)}", "used")]
    if meeting is not None and meeting != threshold:
        marks.append((meeting, f"meets the targets: {plain(meeting)}", "meeting"))
    upright = tuple(
        Mark(_px(LEFT + room * _place(steps, value)), text, kind)
        for value, text, kind in marks
        if steps[0] <= value <= steps[-1]
    )
    frame = Frame(captions, _share_ticks())
    return SweepChart(frame, path("true_positives_above"), path("false_positives_above"), across, upright)


def reliability_chart(bins: Sequence[dict[str, Any]]) -> ReliabilityChart | None:
    """Of a set's ``reliability``; None without an answer."""
    if not bins:
        return None
    most = max(one["images"] for one in bins)
    least_px, most_px = DOTS_PX
    dots = tuple(
        Dot(
            x=_px(LEFT + one["confidence"] * (WIDTH - LEFT - RIGHT)),
            y=_up(one["accuracy"]),
            radius=_px(least_px + (most_px - least_px) * math.sqrt(one["images"] / most)),
            low=_up(one["interval"][0]),
            high=_up(one["interval"][1]),
        )
        for one in bins
    )
    x_ticks = tuple(
        Tick(_px(LEFT + share * (WIDTH - LEFT - RIGHT)), f"{share * 100:.0f}")
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return ReliabilityChart(Frame(x_ticks, _share_ticks()), dots)


def histogram_chart(bins: Sequence[dict[str, Any]]) -> HistogramChart | None:
    """Of a set's ``confidences``; heights grow with the root, or few answers among thousands were unseen."""
    most_right, most_wrong = (max((one[name] for one in bins), default=0) for name in ("right", "wrong"))
    if not most_right + most_wrong:
        return None
    roots = math.sqrt(most_right) + math.sqrt(most_wrong)
    per_root = (HEIGHT - TOP - BOTTOM) / roots
    base = TOP + math.sqrt(most_right) * per_root
    room = (WIDTH - LEFT - RIGHT) / len(bins)
    bars = tuple(
        Bar(
            x=_px(LEFT + room * at + 1),
            width=_px(room - 2),
            right_height=_px(math.sqrt(one["right"]) * per_root),
            wrong_height=_px(math.sqrt(one["wrong"]) * per_root),
            title=f"{one['from']:g} to {one['upto']:g}: {one['right']} right, {one['wrong']} wrong",
        )
        for at, one in enumerate(bins)
    )
    x_ticks = tuple(
        Tick(_px(LEFT + (WIDTH - LEFT - RIGHT) * value / 100), f"{value}") for value in (0, 25, 50, 75, 95)
    )
    up = tuple(Tick(_px(base - math.sqrt(count) * per_root), f"{count:,}") for count in _counts(most_right))
    down = tuple(Tick(_px(base + math.sqrt(count) * per_root), f"{count:,}") for count in _counts(most_wrong))
    return HistogramChart(
        Frame(x_ticks, _apart([Tick(_px(base), "0"), *up[::-1], *down[::-1]])), _px(base), bars
    )


def _apart(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Those that do not stand on one before them."""
    kept: list[Tick] = []
    for tick in ticks:
        if all(abs(tick.at - other.at) >= CAPTION_PX for other in kept):
            kept.append(tick)
    return tuple(kept)


def _counts(most: int) -> list[int]:
    """Few round numbers up to ``most``, the last of them near it."""
    if not most:
        return []
    digits = 10 ** max(0, len(str(most)) - 1)
    top = most // digits * digits
    return [top] if top < MOST_TICKS else sorted({max(1, top // 4), top})


def _place(steps: Sequence[float], value: float) -> float:
    """Where ``value`` lies between equally spaced ``steps``, counted in steps."""
    below = max(at for at, step in enumerate(steps) if step <= value)
    if below == len(steps) - 1:
        return float(below)
    return below + (value - steps[below]) / (steps[below + 1] - steps[below])


def _share_ticks() -> tuple[Tick, ...]:
    return tuple(Tick(_up(share), f"{share * 100:.0f} %") for share in (0.0, 0.25, 0.5, 0.75, 1.0))


def _up(share: float | None) -> float:
    return _px(HEIGHT - BOTTOM - (share or 0.0) * (HEIGHT - TOP - BOTTOM))


def _px(value: float) -> float:
    return round(value, 1)
