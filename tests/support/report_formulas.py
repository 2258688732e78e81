"""The formulas of docs/evaluation.md written out slowly: what report_check computes figures by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef, recall_score, roc_auc_score

BINS = 15
LEAST = 2.220446049250313e-16
Named = Iterator[tuple[str, Any]]
Scores = NDArray[np.float64]


def wilson(right: int, images: int) -> list[float]:
    """Both ends of the 95 % interval of a share."""
    z = 1.959963984540054
    p, centre = right / images, right / images + z * z / (2 * images)
    reach = z * math.sqrt(p * (1 - p) / images + z * z / (4 * images**2))
    return [(centre - reach) / (1 + z * z / images), (centre + reach) / (1 + z * z / images)]


def counted(truth: Sequence[int], answers: Sequence[int], classes: Sequence[str]) -> Named:
    """Figures of the answers alone."""
    right = sum(t == a for t, a in zip(truth, answers, strict=True))
    shown, cells = sorted({*truth, *answers}), Counter(zip(truth, answers, strict=True))
    yield "accuracy", right / len(truth)
    yield "accuracy_interval", wilson(right, len(truth))
    yield "balanced_accuracy", recall_score(truth, answers, labels=sorted(set(truth)), average="macro")
    for average in ("macro", "weighted"):
        f1 = f1_score(truth, answers, labels=shown, average=average, zero_division=0.0)
        yield f"f1_{average}", f1
    yield "matthews", matthews_corrcoef(truth, answers)
    yield "confusion", [[t, a, n] for (t, a), n in sorted(cells.items())]
    for index in shown:
        own, given, both = truth.count(index), answers.count(index), cells[index, index]
        yield f"per_class/{classes[index]}", {
            "images": own, "predicted": given, "correct": both,
            "recall": both / own if own else None, "precision": both / given if given else None,
            "f1": 2 * both / (own + given), "recall_interval": wilson(both, own) if own else None,
            "precision_interval": wilson(both, given) if given else None,
        }  # fmt: skip


def ranked(truth: Sequence[int], scores: Scores) -> Named:
    """Figures of the whole rows of scores."""
    places = [
        sum((s > row[t]) or (s == row[t] and i < t) for i, s in enumerate(row))
        for t, row in zip(truth, scores.tolist(), strict=True)
    ]
    yield "top_3_accuracy", sum(place < 3 for place in places) / len(places)
    shown = sorted(set(truth))
    own = {index: [t == index for t in truth] for index in shown}
    images = [sum(own[index]) for index in shown]
    precise = [average_precision_score(own[index], scores[:, index]) for index in shown]
    yield "average_precision_macro", float(np.mean(precise))
    yield "average_precision_weighted", float(np.average(precise, weights=images))
    if len(shown) > 1:
        areas = [roc_auc_score(own[index], scores[:, index]) for index in shown]
        yield "roc_auc_macro", float(np.mean(areas))
        yield "roc_auc_weighted", float(np.average(areas, weights=images))


def calibration(right: Sequence[bool], sure: Sequence[float]) -> Named:
    """The reliability curve and its mean distance from the diagonal; ``sure`` is 0..1."""
    curve: list[dict[str, Any]] = []
    for at in range(BINS):
        low, high = at / BINS, (at + 1) / BINS
        inside = [i for i, s in enumerate(sure) if (low < s <= high) or (at == 0 and s == 0)]
        if inside:
            curve.append({
                "images": len(inside), "accuracy": sum(right[i] for i in inside) / len(inside),
                "confidence": math.fsum(sure[i] for i in inside) / len(inside),
            })  # fmt: skip
    yield "reliability", curve
    distance = sum(one["images"] * abs(one["accuracy"] - one["confidence"]) for one in curve)
    yield "calibration_error", distance / len(sure)


def loss(row: Sequence[float], truth: int, weights: Mapping[int, float]) -> float:
    """Of one image: the mean over all levels u of -ln of what lies on classes that cost at most u."""
    total, below = 0.0, 0.0
    kept = {truth}
    for level in [*sorted(set(weights.values())), 1.0]:
        share = min(max(math.fsum(row[i] for i in kept), LEAST), 1 - LEAST)
        total += (level - below) * -math.log(share)
        below = level
        kept |= {partner for partner, weight in weights.items() if weight == level}
    return total


def partners(truth: int, pairs: Mapping[tuple[str, str], float], classes: Sequence[str]) -> dict[int, float]:
    """The classes that ``truth`` is commonly confused with, and what that costs."""
    index = {name: at for at, name in enumerate(classes)}
    found = {}
    for (one, other), weight in pairs.items():
        for mine, partner in ((one, other), (other, one)):
            if index.get(mine) == truth and partner in index:
                found[index[partner]] = weight
    return found
