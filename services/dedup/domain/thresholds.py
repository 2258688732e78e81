"""Thresholds learnt from people's verdicts on pairs, for all classes together and for each class.

``automatic`` is the loosest score at which the pairs that people saw were duplicates, with 95 % confidence
(Wilson) for at least ``PRECISION`` of them; ``review`` is the tightest score that keeps, with the same
confidence, at least ``RECALL`` of the confirmed duplicates, and never looser than the detector's default.

Copies of copies are one piece of evidence: pictures that people called duplicates form a cluster; all pairs
inside one cluster share the weight 1, and so do all pairs between the same two clusters. All counts here are
of such pieces. At the least 381 of them, all duplicates, make a threshold automatic, 189 tighten a review.
What no person saw is not measured: recall is of confirmed duplicates, precision of reviewed pairs.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.values import ImageId

PRECISION = 0.99
RECALL = 0.98
Z = 1.959964
"""Standard score of a two-sided 95 % interval."""
FOLDS = 5


@dataclass(frozen=True)
class Detector:
    """Which scores are learnt: ``review`` is the default limit, ``rising`` means that more is more alike."""

    name: str
    review: float
    rising: bool


@dataclass(frozen=True)
class Verdict:
    """A person's word on two images; ``class_name`` is None when the two differ in it or have none."""

    image_id: ImageId
    other_id: ImageId
    class_name: str | None
    score: float
    duplicate: bool


@dataclass(frozen=True)
class Threshold:
    """Scores as the detector gives them; ``class_name`` None: all classes.

    ``precision`` is that of ``automatic``, ``recall`` that of ``review``; None where there is nothing to
    count. ``duplicates`` and ``not_duplicates`` count pieces of evidence.
    """

    class_name: str | None
    detector: str
    automatic: float | None
    review: float
    precision: float | None
    recall: float | None
    duplicates: int
    not_duplicates: int
    learnt: bool
    """From the class's own verdicts; otherwise those of all classes, or the default, apply."""
    out_of_sample: bool
    """Precision and recall were measured on verdicts that the threshold was not learnt from."""


@dataclass(frozen=True)
class _Evidence:
    """One row per verdict, the most alike first; ``closeness`` rises with alikeness whatever the detector."""

    closeness: NDArray[np.float64]
    duplicate: NDArray[np.bool_]
    weight: NDArray[np.float64]
    fold: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> _Evidence:
        return _Evidence(
            self.closeness[chosen], self.duplicate[chosen], self.weight[chosen], self.fold[chosen]
        )

    def counts(self, limit: float) -> tuple[float, float]:
        """Duplicates, and all pieces, at least as alike as ``limit``."""
        within = self.closeness >= limit
        return float(self.weight[within & self.duplicate].sum()), float(self.weight[within].sum())


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Bounds of the share behind ``successes`` of ``trials``, 95 % confidence; 0 to 1 without trials."""
    if trials <= 0:
        return 0.0, 1.0
    share, spread = min(1.0, successes / trials), Z * Z / trials
    middle = share + spread / 2
    half = Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # Between 0 and 1 but for the last bit.
    return max(0.0, min(share, (middle - half) / (1 + spread))), min(
        1.0, max(share, (middle + half) / (1 + spread))
    )


def learn(detector: Detector, verdicts: Iterable[Verdict]) -> list[Threshold]:
    """The threshold of all classes first, then one for each class that has verdicts, by name."""
    given = sorted(set(verdicts), key=lambda v: (v.image_id, v.other_id, v.score, v.duplicate))
    cluster = _clusters(given)
    everything = _learn_one(detector, None, _evidence(detector, given, cluster), None)
    names = sorted({v.class_name for v in given if v.class_name is not None})
    of_class = {name: [v for v in given if v.class_name == name] for name in names}
    return [
        everything,
        *(
            _learn_one(detector, name, _evidence(detector, own, cluster), everything)
            for name, own in of_class.items()
        ),
    ]


def applying(learnt: Sequence[Threshold], class_name: str | None) -> Threshold:
    """That of the class among what ``learn`` gave, or of all classes when it has none of its own."""
    return next((one for one in learnt[1:] if one.class_name == class_name), learnt[0])


def _learn_one(
    detector: Detector, class_name: str | None, evidence: _Evidence, all_classes: Threshold | None
) -> Threshold:
    sign = 1.0 if detector.rising else -1.0
    fallback = sign * (all_classes.review if all_classes else detector.review)
    own_review, own_automatic = _review(evidence), _automatic(evidence)
    review = fallback if own_review is None else max(own_review, sign * detector.review)
    automatic = own_automatic
    if automatic is None and all_classes is not None and all_classes.automatic is not None:
        automatic = _unless_refuted(evidence, sign * all_classes.automatic)
    if automatic is not None:  # what is surely a duplicate is never left out, and nobody sees what is beyond
        automatic = max(automatic, sign * detector.review)
        review = min(review, automatic)
    own = own_review is not None or own_automatic is not None
    measured = _cross_validated(evidence, sign * detector.review) if own else None
    if measured is not None and measured[0] is None and automatic is not None:
        measured = None  # a part of the verdicts is not enough to learn what all of them taught
    precision, recall = measured or _measured(evidence, automatic, review)
    return Threshold(
        class_name=class_name,
        detector=detector.name,
        automatic=None if automatic is None else sign * automatic,
        review=sign * review,
        precision=precision if automatic is not None else None,
        recall=recall,
        duplicates=round(evidence.weight[evidence.duplicate].sum()),
        not_duplicates=round(evidence.weight[~evidence.duplicate].sum()),
        learnt=own,
        out_of_sample=measured is not None,
    )


def _automatic(evidence: _Evidence) -> float | None:
    """The loosest limit whose precision is surely ``PRECISION``; None: there is none."""
    right = np.cumsum(evidence.weight * evidence.duplicate)
    seen = np.cumsum(evidence.weight)
    # A share is never surely more than it is: the exact bound is asked of few.
    possible = _ends_of_ties(evidence.closeness) & evidence.duplicate & (right >= PRECISION * seen)
    for at in np.flatnonzero(possible)[::-1]:
        if wilson(right[at], seen[at])[0] >= PRECISION:
            return float(evidence.closeness[at])
    return None


def _review(evidence: _Evidence) -> float | None:
    """The tightest limit that surely keeps ``RECALL`` of the duplicates; None: too few to say."""
    found = evidence.where(evidence.duplicate)
    kept = np.cumsum(found.weight)
    for at in np.flatnonzero(_ends_of_ties(found.closeness) & (kept >= RECALL * kept[-1:])):
        if wilson(kept[at], kept[-1])[0] >= RECALL:
            return float(found.closeness[at])
    return None


def _unless_refuted(evidence: _Evidence, limit: float) -> float | None:
    """The limit of all classes, if this class's own verdicts can still be those of a good one."""
    return limit if wilson(*evidence.counts(limit))[1] >= PRECISION else None


def _measured(
    evidence: _Evidence, automatic: float | None, review: float
) -> tuple[float | None, float | None]:
    right, seen = evidence.counts(math.inf if automatic is None else automatic)
    kept, every = evidence.counts(review)[0], evidence.counts(-math.inf)[0]
    return right / seen if seen else None, kept / every if every else None


def _cross_validated(evidence: _Evidence, loosest: float) -> tuple[float | None, float | None] | None:
    """Precision and recall on the fold left out, over all folds; None: too few verdicts for that."""
    right = seen = kept = every = 0.0
    automatic_everywhere = True
    for fold in range(FOLDS):
        rest, out = evidence.where(evidence.fold != fold), evidence.where(evidence.fold == fold)
        automatic, review = _automatic(rest), _review(rest)
        if review is None:
            return None
        review = max(review, loosest)
        automatic_everywhere &= automatic is not None
        fold_right, fold_seen = out.counts(math.inf if automatic is None else max(automatic, review))
        right, seen = right + fold_right, seen + fold_seen
        kept, every = kept + out.counts(review)[0], every + out.counts(-math.inf)[0]
    precision = right / seen if seen and automatic_everywhere else None
    return precision, kept / every if every else None


def _evidence(detector: Detector, verdicts: Sequence[Verdict], cluster: dict[ImageId, ImageId]) -> _Evidence:
    sign = 1.0 if detector.rising else -1.0
    pieces = [
        (*sorted((cluster.get(v.image_id, v.image_id), cluster.get(v.other_id, v.other_id))), v.duplicate)
        for v in verdicts
    ]
    shared = Counter(pieces)
    closeness = np.array([sign * v.score for v in verdicts], np.float64)
    duplicate = np.array([v.duplicate for v in verdicts], np.bool_)
    weight = np.array([1 / shared[piece] for piece in pieces], np.float64)
    fold = np.array([zlib.crc32(str(piece[0]).encode()) % FOLDS for piece in pieces], np.int64)
    # Within a tie the duplicates come last, so that its end is one if there is any.
    order = np.lexsort((weight, duplicate, -closeness))
    return _Evidence(closeness[order], duplicate[order], weight[order], fold[order])


def _ends_of_ties(closeness: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.append(closeness[1:] != closeness[:-1], [True])[: len(closeness)]


def _clusters(verdicts: Iterable[Verdict]) -> dict[ImageId, ImageId]:
    """The smallest image of the cluster of each image that was called a duplicate."""
    parent: dict[ImageId, ImageId] = {}

    def root(image_id: ImageId) -> ImageId:
        while (above := parent.setdefault(image_id, image_id)) != image_id:
            parent[image_id] = image_id = parent[above]
        return image_id

    for verdict in verdicts:
        if verdict.duplicate:
            first, second = sorted((root(verdict.image_id), root(verdict.other_id)))
            parent[second] = first
    return {image_id: root(image_id) for image_id in list(parent)}
