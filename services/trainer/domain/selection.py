"""Which epoch's weights a run keeps."""

from __future__ import annotations

import math

STANDARD_ERRORS = 2.0
"""About 95 % of the differences that are nothing but the luck of a small sample."""


def worse_by_more_than_luck(accuracy: float, best: float, images: int) -> bool:
    """Whether ``accuracy`` on ``images`` is below ``best`` by more than two standard errors.

    A validation side of 13 images a class is small: on 121 digits an early epoch got two more right
    than the last and was kept, and 80 % of other images were right and sure instead of 95 %. On
    thousands of images the margin vanishes. (The one-standard-error rule of Breiman et al., CART,
    1984, with Laplace's correction, since the best is often 1.)
    """
    share = (best * images + 1) / (images + 2)
    return accuracy < best - STANDARD_ERRORS * math.sqrt(share * (1 - share) / images)
