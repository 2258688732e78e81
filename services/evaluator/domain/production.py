"""Whether a model is worse than the one in production: the same images, scored by both.

The images are the pairs: what is hard about an image is hard for both models, so the difference of its two
losses varies far less than either, and far fewer images tell the models apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from services.evaluator.domain.answers import NO_CLASS, Floats, Ints

FEWEST_PAIRS = 30
"""With fewer images no interval of a loss holds what it promises (docs/evaluation.md)."""
RESAMPLED_IMAGES = 2_000
"""Up to so many the interval is a bootstrap: losses have long tails. Above, the mean is normal enough."""
RESAMPLES = 2_000
SEED = 6


@dataclass(frozen=True)
class Paired:
    """(Weighted) log loss of the same images, by the model and by ``production``; one entry an image.

    ``truth`` is the class index in the new model, NO_CLASS for none.
    """

    production: str
    truth: Ints
    ours: Floats
    theirs: Floats

    def __post_init__(self) -> None:
        if not len(self.truth) == len(self.ours) == len(self.theirs):
            raise ValueError(
                f"{len(self.ours)} and {len(self.theirs)} losses of {len(self.truth)} images cannot be paired"
            )
        if not (np.isfinite(self.ours).all() and np.isfinite(self.theirs).all()):
            raise ValueError("a loss is NaN or infinite: leave out images that show none of the classes")

    def __len__(self) -> int:
        return len(self.ours)


def paired_by_image(
    production: str, ours: Mapping[str, tuple[int, float]], theirs: Mapping[str, float]
) -> Paired:
    """Pair by image id: ours is (truth, loss), theirs the loss; what one of them lacks is left out.

    Leave out of ``theirs`` what the model in production has learned from: there it is better than it is.
    """
    common = [
        image_id
        for image_id, (_, loss) in ours.items()
        if math.isfinite(loss) and math.isfinite(theirs.get(image_id, math.nan))
    ]
    return Paired(
        production,
        np.array([ours[image_id][0] for image_id in common], np.int64),
        np.array([ours[image_id][1] for image_id in common], np.float64),
        np.array([theirs[image_id] for image_id in common], np.float64),
    )


@dataclass(frozen=True)
class Difference:
    """Mean loss minus production's, with its interval; above 0 is worse."""

    mean: float
    low: float
    high: float


def difference(paired: Paired, confidence_percent: float) -> Difference:
    """The mean paired difference and its two-sided interval at ``confidence_percent``; of 2 images or more.

    Percentile bootstrap over images (Efron and Tibshirani 1993, section 13.3) up to RESAMPLED_IMAGES, with a
    fixed seed so that the same scores give the same verdict; the normal interval above.
    """
    gaps = paired.ours - paired.theirs
    mean = float(gaps.mean())
    tail = (1.0 - confidence_percent / 100.0) / 2.0
    if len(gaps) > RESAMPLED_IMAGES:
        reach = NormalDist().inv_cdf(1.0 - tail) * float(gaps.std(ddof=1)) / len(gaps) ** 0.5
        return Difference(mean, mean - reach, mean + reach)
    draws = np.random.default_rng(SEED)
    parts = [gaps[draws.integers(0, len(gaps), (RESAMPLES // 10, len(gaps)))].mean(axis=1) for _ in range(10)]
    means = np.concatenate(parts)
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return Difference(mean, float(low), float(high))


def lost_most(paired: Paired, classes: Sequence[str], limit: int) -> tuple[tuple[str, int], ...]:
    """The labels that became worse by most, summed over their images, and how many images each has."""
    lost: list[tuple[float, str, int]] = []
    for index in np.unique(paired.truth[paired.truth != NO_CLASS]):
        of = paired.truth == index
        total = float((paired.ours[of] - paired.theirs[of]).sum())
        if total > 0 and index < len(classes):
            lost.append((-total, classes[index], int(of.sum())))
    return tuple((label, images) for _, label, images in sorted(lost)[:limit])
