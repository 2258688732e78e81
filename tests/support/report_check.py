"""Computes a report's figures a second time, from its files alone and without the evaluator's code.

For a running stack: python -m tests.support.check_stack_report DATA_DIR [MODEL]

What the evaluator says stands in report.json; it is checked by results.parquet, scores.npy and the data set's
manifest, with scikit-learn and the formulas of docs/evaluation.md written out slowly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.report_formulas import Named, calibration, counted, loss, partners, ranked

CLOSE = 1e-9
Row = dict[str, Any]


@dataclass(frozen=True)
class Filed:
    """Files of one scoring; row i of results and scores belongs together."""

    report: Row
    results: Sequence[Row]
    scores: NDArray[np.floating]
    manifest: Sequence[Row]
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Weights of confused pairs, in one direction each."""
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def differences(filed: Filed) -> list[str]:
    """What the report says otherwise than it is computed here, a sentence each; empty when all is well."""
    found = list(_rows(filed))
    for one in filed.report["sets"]:
        at = [i for i, row in enumerate(filed.results) if row["set"] == one["name"]]
        expected = list(_of_set(filed, one, at)) if at else [("images", 0)]
        for name, value in expected:
            if not _agree(_told(one, name), value):
                found.append(f"set {one['name']}, {name}: {_told(one, name)!r}, and it is {value!r}")
    return [*found, *_gate(filed)]


def _rows(filed: Filed) -> Iterator[str]:
    """Rows of the results beside the manifest and the scores."""
    classes = filed.report["classes"]
    scored = [row for row in filed.manifest if row["side"] != "out"]
    if [row["image_id"] for row in filed.results] != [row["image_id"] for row in scored]:
        yield "the results are not the images of the manifest, in its order"
        return
    for row, of, scores in zip(filed.results, scored, filed.scores.tolist(), strict=True):
        name = of["benchmark"] if of["side"] == "benchmark" else of["side"]
        out = re.sub(r"[\s_-]+", "-", name.strip().casefold()) == "out-of-scope"
        name = "out-of-scope" if out else name
        truth = None if out or of["class_name"] not in classes else of["class_name"]
        answer = max(range(len(classes)), key=lambda i: (scores[i], -i))
        sure = min(100 * scores[answer], 100.0)
        expected = {"set": name, "truth": truth, "predicted": classes[answer], "confidence": sure}
        if not _agree(row, expected):
            yield f"image {row['image_id']}: {row} instead of {expected}"


def _of_set(filed: Filed, one: Row, at: Sequence[int]) -> Named:
    classes = filed.report["classes"]
    rows, scores = [filed.results[i] for i in at], np.asarray(filed.scores[list(at)], np.float64)
    known = [i for i, row in enumerate(rows) if row["truth"] is not None]
    yield "images", len(rows)
    yield "known_images", len(known)
    yield from above(rows, filed.report["threshold_percent"]).items()
    yield "sweep", [above(rows, line["threshold_percent"]) for line in one["sweep"]]
    sure = sorted(row["confidence"] for row in rows)
    yield "confidence_min", sure[0]
    yield "confidence_max", sure[-1]
    yield "confidence_median", (sure[(len(sure) - 1) // 2] + sure[len(sure) // 2]) / 2
    yield "confidence_mean", math.fsum(sure) / len(sure)
    sources = {row["image_id"]: [row["source"] or "unknown"] for row in filed.manifest}
    flags = {row["image_id"]: filed.flags.get(row["image_id"]) or ["none"] for row in rows}
    for name, parts in (("per_source", sources), ("per_flag", flags)):
        for part in {label for row in rows for label in parts[row["image_id"]]}:
            inside = [row for row in rows if part in parts[row["image_id"]]]
            yield f"{name}/{part}", _of_part(inside)
    if known:
        truth = [classes.index(rows[i]["truth"]) for i in known]
        answers = [classes.index(rows[i]["predicted"]) for i in known]
        yield from counted(truth, answers, classes)
        yield from ranked(truth, scores[known])
        yield from calibration(
            [t == a for t, a in zip(truth, answers, strict=True)],
            [rows[i]["confidence"] / 100 for i in known],
        )
        yield from _losses(filed, truth, scores[known].tolist())


def above(rows: Sequence[Row], threshold: float) -> Row:
    """What is at the threshold or over."""
    over = [row for row in rows if row["confidence"] >= threshold]
    right = sum(row["truth"] == row["predicted"] for row in over)
    return {
        "true_positives_above_images": right, "false_positives_above_images": len(over) - right,
        "true_positives_above": right / len(rows), "false_positives_above": (len(over) - right) / len(rows),
    }  # fmt: skip


def _of_part(rows: Sequence[Row]) -> Row:
    known = [row for row in rows if row["truth"] is not None]
    right = sum(row["truth"] == row["predicted"] for row in known)
    mean = math.fsum(row["confidence"] for row in rows) / len(rows)
    accuracy = right / len(known) if known else None
    return {
        "images": len(rows), "known": len(known), "correct": right, "accuracy": accuracy,
        "mean_confidence": mean,
    }  # fmt: skip


def _losses(filed: Filed, truth: Sequence[int], scores: Sequence[Sequence[float]]) -> Named:
    classes = filed.report["classes"]
    plain = [loss(row, t, {}) for t, row in zip(truth, scores, strict=True)]
    yield "log_loss", math.fsum(plain) / len(plain)
    beside = {t: partners(t, filed.pairs, classes) for t in set(truth)}
    weighted = [loss(row, t, beside[t]) for t, row in zip(truth, scores, strict=True)]
    yield "weighted_log_loss", math.fsum(weighted) / len(weighted)


def _gate(filed: Filed) -> Iterator[str]:
    """The domain's own limits (domain.md section 3), and that a verdict is no-go only when a rule failed."""
    told = {rule["rule"]: rule["passed"] for rule in filed.report["gate"]["rules"]}
    if (filed.report["gate"]["verdict"] == "no-go") != (False in told.values()):
        yield f"the verdict is {filed.report['gate']['verdict']} with the rules {told}"
    for rule, name, figure, least, most in (
        ("difficult-true-positives", "difficult", "true_positives_above", 0.80, 1.0),
        ("difficult-false-positives", "difficult", "false_positives_above", 0.0, 0.05),
        ("out-of-scope-false-positives", "out-of-scope", "false_positives_above", 0.0, 0.10),
    ):
        rows = [row for row in filed.results if row["set"] == name]
        value = above(rows, filed.report["threshold_percent"])[figure] if rows else None
        passed = None if value is None else least - CLOSE <= value <= most + CLOSE
        if rule in told and told[rule] is not passed:
            yield f"rule {rule}: {told[rule]}, and {value} of {name} means {passed}"


def _told(one: Row, name: str) -> Any:
    """The field of that name; behind a slash the entry of that label or name."""
    field_name, _, label = name.partition("/")
    if not label:
        return one[field_name]
    return next((line for line in one[field_name] if label in (line.get("label"), line.get("name"))), None)


def _agree(told: Any, expected: Any) -> bool:
    """Numbers within CLOSE; of a mapping only what is expected counts."""
    if isinstance(expected, Mapping):
        return told is not None and all(_agree(told[key], value) for key, value in expected.items())
    if isinstance(expected, list | tuple):
        return len(told) == len(expected) and all(map(_agree, told, expected))
    if isinstance(expected, float) or isinstance(told, float):
        return told is not None and expected is not None and abs(told - expected) <= CLOSE
    return bool(told == expected)
