"""Training curves as a picture: loss, accuracy and learning rate by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from contracts.manifests import Epoch

TRAIN, VALIDATION, QUIET = "#5b7c99", "#c2542d", "#8a8a8a"
MARKED_UP_TO = 30
"""Epochs up to which each is a dot; more would only be a thick line."""


def draw(epochs: Sequence[Epoch], best_epoch: int, title: str) -> bytes:
    """PNG of 1,200 x 400 px; drawn without a window on any machine, pyplot is not used."""
    figure = Figure(figsize=(12, 4), dpi=100, layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    figure.suptitle(title, fontsize=12)
    dot = "o" if len(epochs) <= MARKED_UP_TO else None
    _lines(loss, epochs, "loss", "val_loss", dot)
    _lines(accuracy, epochs, "accuracy", "val_accuracy", dot)
    loss.set_title("Loss", fontsize=10)
    accuracy.set_title("Accuracy", fontsize=10)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    rates = [(epoch.epoch, epoch.learning_rate) for epoch in epochs if epoch.learning_rate is not None]
    rate.plot([at for at, _ in rates], [value for _, value in rates], color=QUIET, marker=dot, markersize=3)
    rate.set_title("Learning rate", fontsize=10)
    rate.ticklabel_format(axis="y", scilimits=(-2, 3))
    for axes in (loss, accuracy, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, color="#e6e6e6", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (loss, accuracy):
        if best_epoch:
            axes.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", label=f"kept: {best_epoch}")
        axes.legend(frameon=False, fontsize=9)
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def _lines(axes: Axes, epochs: Sequence[Epoch], trained: str, validated: str, dot: str | None) -> None:
    for name, colour, label in ((trained, TRAIN, "training"), (validated, VALIDATION, "validation")):
        points = [(epoch.epoch, value) for epoch in epochs if (value := getattr(epoch, name)) is not None]
        if points:
            across, up = zip(*points, strict=True)
            axes.plot(across, up, color=colour, label=label, marker=dot, markersize=3)
