"""What the page shows of the report document: the worst first, and how much is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.evaluator.domain.rules import Rule
from services.evaluator.domain.sets import GATED, SIDES
from services.evaluator.page.advice import advice
from services.evaluator.page.charts import (
    HistogramChart,
    ReliabilityChart,
    SweepChart,
    histogram_chart,
    reliability_chart,
    sweep_chart,
)

Document = dict[str, Any]

CLASSES_SHOWN = 40
CONFUSED_CLASSES = 14
"""Side of the confusion matrix: more columns than that are read on no screen."""
LISTED = 10
SETS_IN_FULL = 8
BENCHMARK_FIGURES = {
    "true_positives_above": ("right at the threshold or over", True),
    "false_positives_above": ("wrong at the threshold or over", True),
    "min": ("lowest confidence", False), "median": ("median confidence", False),
    "mean": ("mean confidence", False), "max": ("highest confidence", False),
    "above": ("images at the threshold or over", False), "below": ("images below it", False),
}  # fmt: skip
"""Figures of the benchmark table as people call them, and whether each is a share of the images."""


@dataclass(frozen=True)
class RuleView:
    """One rule's outcome and what to do about it."""

    name: str
    passed: bool | None
    sentence: str
    advice: str


@dataclass(frozen=True)
class Confusion:
    """Rows truth, columns answer; ``shade`` is the share of the row, for its colour."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[tuple[int, float, bool], ...]], ...]
    """Label, images, and of each column: images, shade, whether it is the diagonal."""
    classes: int
    others: bool
    """The last column is of all answers that have no column of their own."""


@dataclass(frozen=True)
class SetView:
    """A set in full."""

    key: str
    figures: Document
    sweep: SweepChart | None
    reliability: ReliabilityChart | None
    histogram: HistogramChart | None
    confusion: Confusion | None
    classes: tuple[Document, ...]
    thresholds: tuple[Document, ...]


def rule_views(document: Document, rules: Iterable[Rule]) -> list[RuleView]:
    """The gate's rules: failed ones first, then what could not be measured."""
    known = {rule.name: rule for rule in rules}
    order = {False: 0, None: 1, True: 2}
    told = sorted(document["gate"]["rules"], key=lambda one: order[one["passed"]])
    return [
        RuleView(
            one["rule"], one["passed"], one["sentence"],
            advice(known.get(one["rule"]), one["passed"], document),
        )
        for one in told
    ]  # fmt: skip


def ordered_sets(document: Document) -> list[Document]:
    """What decides first: test, the benchmarks that the gate knows, other benchmarks, validation, train."""
    place = {name: at for at, name in enumerate(("test", *GATED))}
    last = {"validation": len(document["sets"]) + 100, "train": len(document["sets"]) + 101}

    def key(one: Document) -> tuple[int, str]:
        name = one["name"]
        return last.get(name, place.get(name, len(place))), name

    return sorted(document["sets"], key=key)


def set_views(document: Document, rules: Sequence[Rule]) -> tuple[list[SetView], list[str]]:
    """The sets that have images, in full, and the names of those over SETS_IN_FULL."""
    measured = [one for one in ordered_sets(document) if one["images"]]
    views = [
        _set_view(f"set-{at}", one, document, rules) for at, one in enumerate(measured[:SETS_IN_FULL], 1)
    ]
    return views, [one["name"] for one in measured[SETS_IN_FULL:]]


def benchmark_views(document: Document) -> list[tuple[str, int | None, list[Document]]]:
    """Per set with images: its name, how many images production was measured on, and the rows."""
    images = {one["name"]: one["images"] for one in document["sets"]}
    beside = (document["production"] or {}).get("images", {})
    found = []
    for one in ordered_sets(document):
        rows = [row for row in document["benchmarks"] if row["set_name"] == one["name"]]
        if rows and images[one["name"]]:
            by_figure = {row["figure"]: row for row in rows}
            found.append(
                (one["name"], beside.get(one["name"]), [by_figure[name] for name in BENCHMARK_FIGURES])
            )
    return found


def _set_view(key: str, one: Document, document: Document, rules: Sequence[Rule]) -> SetView:
    limits = {(rule.measure, rule.bound): rule.limit / 100 for rule in rules if rule.set_name == one["name"]}
    return SetView(
        key=key,
        figures=one,
        sweep=sweep_chart(
            one["sweep"], document["threshold_percent"], document["threshold_for_targets"]["value"],
            limits.get(("true positives", "at least")), limits.get(("false positives", "at most")),
        ),
        reliability=reliability_chart(one["reliability"]),
        histogram=histogram_chart(one["confidences"]),
        confusion=_confusion(one, document["classes"]),
        classes=tuple(sorted(one["per_class"], key=_badness)[:CLASSES_SHOWN]),
        thresholds=tuple(sorted(one["per_class_threshold"], key=_unsettled)[:CLASSES_SHOWN]),
    )  # fmt: skip


def _badness(line: Document) -> tuple[float, int, str]:
    """Worst first: the lowest F1, among equals that with most images."""
    return line["f1"] if line["f1"] is not None else 2.0, -line["images"], line["label"]


def _unsettled(line: Document) -> tuple[int, int, str]:
    """Most wrong names at the threshold first, then most images that stay below it."""
    wrong = line["false_positives_above"] + line["wrongly_named_above"]
    return -wrong, -line["below"], line["label"] or ""


def _confusion(one: Document, classes: Sequence[str]) -> Confusion | None:
    """All classes that are shown or answered, or those with most wrong answers; None where none is known."""
    cells: list[tuple[int, int, int]] = one["confusion"]
    if not cells:
        return None
    wrong: dict[int, int] = {}
    for truth, answer, images in cells:
        for index in (truth, answer):
            wrong[index] = wrong.get(index, 0) + (images if truth != answer else 0)
    worst = sorted(wrong, key=lambda index: (-wrong[index], index))[:CONFUSED_CLASSES]
    chosen, others = sorted(worst, key=lambda index: classes[index].casefold()), len(wrong) > len(worst)
    count = {(truth, answer): images for truth, answer, images in cells}
    rows = []
    for truth in chosen:
        own = [count.get((truth, answer), 0) for answer in chosen]
        images = sum(n for t, _, n in cells if t == truth)
        if not images:
            continue
        line = [*own, images - sum(own)] if others else own
        shaded = tuple((n, n / images, at < len(chosen) and chosen[at] == truth)
                       for at, n in enumerate(line))  # fmt: skip
        rows.append((classes[truth], images, shaded))
    return Confusion(tuple(classes[index] for index in chosen), tuple(rows), len(wrong), others)


def is_learned(name: str) -> bool:
    """Whether the model has learned from the set, so that its figures promise too much."""
    return name in SIDES and name != "test"
