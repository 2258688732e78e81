"""Which epoch's weights a run keeps, and when it stops: functions of its curve alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.manifests import Epoch

STANDARD_ERRORS = 2.0
"""About 95 % of the differences that are nothing but the luck of a small sample."""


@dataclass(frozen=True)
class Standing:
    """What a curve says: its kept epoch, and the last epoch that was better than all before (0: none)."""

    kept: int = 0
    improved_at: int = 0


def standing(curve: Sequence[Epoch], validation_images: int) -> Standing:
    """The kept epoch is the last that is not worse than the best by more than luck.

    Better is a higher accuracy on ``validation_images``; without any, a lower loss, and luck is no excuse.
    """
    best, improved_at, kept = -math.inf, 0, 0
    for epoch in curve:
        accuracy = epoch.val_accuracy
        merit = -epoch.loss if accuracy is None else accuracy
        if merit > best:
            best, improved_at, kept = merit, epoch.epoch, epoch.epoch
        elif accuracy is not None and not worse_by_more_than_luck(accuracy, best, validation_images):
            kept = epoch.epoch
    return Standing(kept, improved_at)


def has_stalled(curve: Sequence[Epoch], validation_images: int, patience: int, head_epochs: int) -> bool:
    """Whether ``patience`` epochs went by without a better one; 0 waits for ever.

    The wait begins anew after ``head_epochs``: an output layer alone soon gets no better, and the other
    layers have not had their turn.
    """
    done = len(curve)
    since = max(standing(curve, validation_images).improved_at, min(head_epochs, done))
    return patience > 0 and done - since >= patience


def worse_by_more_than_luck(accuracy: float, best: float, images: int) -> bool:
    """Whether ``accuracy`` on ``images`` is below ``best`` by more than two standard errors.

    A validation side of 13 images a class is small: on 121 digits an early epoch got two more right
    than the last and was kept, and 80 % of other images were right and sure instead of 95 %. On
    thousands of images the margin vanishes. (The one-standard-error rule of Breiman et al., CART,
    1984, with Laplace's correction, since the best is often 1.)
    """
    share = (best * images + 1) / (images + 2)
    return accuracy < best - STANDARD_ERRORS * math.sqrt(share * (1 - share) / images)
