"""Log loss, and log loss weighted by the table of commonly confused classes.

Let ``p`` be the scores of an image, ``t`` its class and ``w(t, j)`` the weight of taking ``t`` for ``j``:
1 by default, 0.5 or so for a pair of the table, 0 for ``t`` itself. Its loss is the mean over all levels
``u`` from 0 to 1 of -ln of the score of all classes with ``w(t, j) <= u``: at level u, classes that are at
most that different count as one. Hence, with one pair (t, j) in the table,

    loss = w * -ln p(t)  +  (1 - w) * -ln (p(t) + p(j))

Weights all 1 give the log loss; weight 0 gives the log loss of the merged classes; the whole score on the
other class of the pair costs exactly w times the log loss; any loss lies between these. As long as the
pairs form separate groups of one weight it is a sum of log losses (of the group, and w times of the class
within it), so a model gains nothing by scores it does not believe in. docs/evaluation.md has an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import Answers, Floats, Ints

EPSILON = float(np.finfo(np.float64).eps)
"""A certain and wrong answer costs -ln(eps) = 36 instead of infinity, as in scikit-learn."""


class PairsRefused(Exception):
    """The table of commonly confused classes makes no sense."""


@dataclass(frozen=True)
class Partners:
    """Classes that one class is taken for at their own cost, cheapest first; arrays of equal length."""

    indices: Ints
    weights: Floats


class PairWeights:
    """The symmetric table, by class index."""

    def __init__(self, weights: Mapping[tuple[int, int], float], classes: int) -> None:
        """Take the weight by two class indices; one direction of a pair is enough.

        Raises:
            PairsRefused: an index that the model does not have, a class with itself, a weight
                outside 0..1, or a pair with two weights.
        """
        of: dict[int, dict[int, float]] = {}
        for (one, other), weight in weights.items():
            _refuse_senseless(one, other, weight, classes)
            for first, second in ((one, other), (other, one)):
                if of.setdefault(first, {}).setdefault(second, weight) != weight:
                    raise PairsRefused(
                        f"classes {one} and {other} have the weights {of[first][second]} and {weight}: "
                        "keep one of them"
                    )
        self.partners: dict[int, Partners] = {}
        for index, others in of.items():
            cheapest_first = sorted(others, key=lambda other: (others[other], other))
            costs = np.array([others[other] for other in cheapest_first])
            self.partners[index] = Partners(np.array(cheapest_first, np.int64), costs)


def image_losses(answers: Answers) -> Floats:
    """-ln p(truth) of each image, natural logarithm; NaN without a truth."""
    return surprise(answers.p_truth)


def weighted_losses(scores: NDArray[np.floating], answers: Answers, pairs: PairWeights) -> Floats:
    """The weighted loss of each row of scores (N x C, may be memory-mapped); NaN without a truth.

    Only the scores of confused classes are read.
    """
    losses = image_losses(answers)
    order = np.argsort(answers.truth, kind="stable")
    by_class = answers.truth[order]
    for index, partners in pairs.partners.items():
        first, past = np.searchsorted(by_class, [index, index + 1])
        rows = order[first:past]
        if len(rows):
            beside = np.asarray(scores)[rows[:, None], partners.indices].astype(np.float64)
            grouped = np.cumsum(np.column_stack([answers.p_truth[rows], beside]), axis=1)
            shares = np.diff(partners.weights, prepend=0.0, append=1.0)
            losses[rows] = surprise(grouped) @ shares
    return losses


def surprise(probability: Floats) -> Floats:
    """-ln of probabilities, kept finite."""
    return -np.log(np.clip(probability, EPSILON, 1.0 - EPSILON))


def _refuse_senseless(one: int, other: int, weight: float, classes: int) -> None:
    if not (0 <= one < classes and 0 <= other < classes):
        raise PairsRefused(
            f"the pair of classes {one} and {other} is not of this model: it has 0 to {classes - 1}"
        )
    if one == other:
        raise PairsRefused(f"class {one} is paired with itself; a right answer costs nothing extra")
    if not 0.0 <= weight <= 1.0:
        raise PairsRefused(
            f"the weight of classes {one} and {other} is {weight}; it must lie between 0 (no mistake at all) "
            "and 1 (as bad as any other)"
        )
