"""Pictures of a search, as SVG that is the same for the same trials."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from services.trainer.search.report import ReportSpec
from services.trainer.search.space import Axis, axes_of
from services.trainer.search.trials import Scalar, Trial, TrialState, best_of

COMPLETE, PRUNED, BEST, QUIET = "#1f6f8b", "#b0b7bd", "#d1495b", "#5c6670"
INCH_WIDE, INCH_HIGH = 8.0, 3.0
PER_ROW = 3
CURVES_SHOWN = 60
"""More lines than that are a carpet; the best ones are shown."""


@dataclass(frozen=True)
class Chart:
    """A picture with what it says in words."""

    title: str
    text: str
    svg: bytes


def charts_of(spec: ReportSpec, importance: Mapping[str, float] | None) -> list[Chart]:
    """What can be drawn of these trials; nothing without a scored one."""
    scored = [trial for trial in spec.trials if _score(trial) is not None]
    if not scored:
        return []
    charts = [_history(spec.trials, scored), _options(axes_of(spec.request), scored)]
    if importance is not None:
        charts.insert(1, _importance(importance))
    curves = [trial for trial in scored if len(trial.steps) > 1]
    return [*charts, _curves(curves, best_of(spec.trials))] if curves else charts


def _history(trials: Sequence[Trial], scored: Sequence[Trial]) -> Chart:
    figure, plot = _figure()
    _dots(plot, [trial.number for trial in scored], scored)
    best, line = 0.0, []
    for trial in trials:
        if trial.state is TrialState.COMPLETE:
            best = max(best, trial.best_val_accuracy or 0.0)
        line.append(best or math.nan)
    plot.step(range(len(trials)), line, where="post", color=BEST, label="best so far")
    plot.set_xlabel("trial")
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    plot.legend(loc="lower right", frameon=False, fontsize=8)
    text = f"Validation accuracy of {len(scored)} trials in order; the best of them {best:.1%}."
    return _chart("How the search went", text, figure)


def _importance(importance: Mapping[str, float]) -> Chart:
    figure, plot = _figure(0.5 + 0.3 * len(importance))
    names = list(importance)[::-1]
    shares = [importance[name] for name in names]
    plot.barh(range(len(names)), shares, color=COMPLETE, height=0.6)
    plot.set_yticks(range(len(names)), [_plain(name) for name in names])
    for place, part in enumerate(shares):
        plot.text(part, place, f" {part:.0%}", va="center", fontsize=8)
    plot.set_xlim(0, max(shares) * 1.15 or 1)
    plot.xaxis.set_major_formatter("{x:.0%}")
    plot.set_xlabel("share of what decided")
    plot.set_ylabel("")
    text = ", ".join(f"{name} {part:.0%}" for name, part in importance.items())
    return _chart("What mattered", f"Importance of each option: {text}.", figure)


def _options(axes: Sequence[Axis], scored: Sequence[Trial]) -> Chart:
    rows = math.ceil(len(axes) / PER_ROW)
    figure = Figure(figsize=(INCH_WIDE, 2.5 * rows), layout="constrained")
    for place, axis in enumerate(axes):
        plot = figure.add_subplot(rows, PER_ROW, place + 1)
        _style(plot)
        chosen = [trial.chosen[axis.name] for trial in scored]
        _dots(plot, _places(plot, axis, chosen), scored)
        plot.set_xlabel(_plain(axis.name))
        if place % PER_ROW:
            plot.set_ylabel("")
    text = f"Validation accuracy against each of: {', '.join(axis.name for axis in axes)}."
    return _chart("Each option", text, figure)


def _curves(trials: Sequence[Trial], best: Trial | None) -> Chart:
    figure, plot = _figure()
    shown = sorted(trials, key=lambda trial: -(_score(trial) or 0.0))[:CURVES_SHOWN]
    for trial in shown:
        epochs = sorted(trial.steps)
        own = best is not None and trial.number == best.number
        done = trial.state is TrialState.COMPLETE
        plot.plot(
            epochs, [trial.steps[epoch] for epoch in epochs],
            color=BEST if own else COMPLETE if done else PRUNED, linewidth=2 if own else 0.9,
            linestyle="-" if done else "--", zorder=3 if own else 2 if done else 1,
            label=f"best: trial {trial.number}" if own else None,
        )  # fmt: skip
    plot.set_xlabel("epoch")
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    if best is not None:
        plot.legend(loc="lower right", frameon=False, fontsize=8)
    cut = f" (the best {CURVES_SHOWN} of {len(trials)})" if len(shown) < len(trials) else ""
    text = f"Validation accuracy by epoch of {len(shown)} trials{cut}; dashed ones were ended early."
    return _chart("Learning curves", text, figure)


def _places(plot: Axes, axis: Axis, chosen: Sequence[Scalar]) -> list[float]:
    """Where the values lie: numbers on their scale, listed values side by side."""
    if not axis.values:
        places = [float(value) for value in chosen]
        if axis.log:
            _logarithmic(plot, places)
        return places
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in axis.values)
    order = sorted(axis.values) if numbers else list(axis.values)
    plot.set_xticks(
        range(len(order)), [_plain(_named(value)) for value in order], rotation=30 if len(order) > 4 else 0
    )
    plot.set_xlim(-0.5, len(order) - 0.5)
    return [float(order.index(value)) for value in chosen]


def _logarithmic(plot: Axes, places: Sequence[float]) -> None:
    """A scale whose marks do not run into each other, and are more than one within a decade or two."""
    narrow = max(places) < 100 * min(places)
    plot.set_xscale("log")
    plot.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    plot.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    plot.xaxis.set_minor_formatter(NullFormatter())


def _dots(plot: Axes, places: Sequence[float], trials: Sequence[Trial]) -> None:
    best = best_of(trials)
    for state, mark, colour in ((TrialState.PRUNED, "x", PRUNED), (TrialState.COMPLETE, "o", COMPLETE)):
        own = [(x, trial) for x, trial in zip(places, trials, strict=True) if trial.state is state]
        across, up = [x for x, _ in own], [_score(trial) or 0.0 for _, trial in own]
        plot.scatter(across, up, marker=mark, color=colour, s=18, zorder=2)
        for x, trial in own:
            if best is not None and trial.number == best.number:
                plot.scatter([x], [_score(trial) or 0.0], color=BEST, s=42, zorder=3)


def _score(trial: Trial) -> float | None:
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    return trial.best_val_accuracy


def _figure(inch_high: float = INCH_HIGH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(INCH_WIDE, inch_high), layout="constrained")
    plot = figure.add_subplot()
    _style(plot)
    return figure, plot


def _style(plot: Axes) -> None:
    plot.spines[["top", "right"]].set_visible(False)
    plot.tick_params(labelsize=8, colors=QUIET)
    plot.grid(alpha=0.25)
    plot.xaxis.label.set_fontsize(8)
    plot.set_ylabel("validation accuracy", fontsize=8)


def _named(value: Scalar) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _plain(text: str) -> str:
    """``text`` without a dollar's meaning: Matplotlib would set it as mathematics."""
    return text.replace("$", r"\$")


def _chart(title: str, text: str, figure: Figure) -> Chart:
    sink = io.BytesIO()
    # A salt of our own and no date: the ids in the file are random otherwise.
    with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "path"}):
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return Chart(title, text, sink.getvalue())
