"""What the loop trains on: pixels by number, wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]


class Examples(Protocol):
    """Images with their classes; thread-safe."""

    @property
    def classes(self) -> Classes:
        """Class indices [N]."""

    def __len__(self) -> int:
        """N."""

    def pixels(self, chosen: Classes) -> Pixels:
        """RGB [n, S, S, 3] of the images numbered ``chosen`` [n], in that order; the caller's own copy."""


@dataclass(frozen=True)
class InMemory:
    """uint8 images [N, S, S, 3] with their class indices [N]."""

    images: Pixels
    classes: Classes

    def __len__(self) -> int:
        return len(self.classes)

    def pixels(self, chosen: Classes) -> Pixels:
        """See Examples."""
        return self.images[chosen]


class Part:
    """Some of other examples, by their numbers there."""

    def __init__(self, examples: Examples, numbers: Classes) -> None:
        self._examples, self._numbers = examples, numbers
        self._classes = examples.classes[numbers]

    @property
    def classes(self) -> Classes:
        """Class indices [N]."""
        return self._classes

    def __len__(self) -> int:
        return len(self._numbers)

    def pixels(self, chosen: Classes) -> Pixels:
        """See Examples."""
        return self._examples.pixels(self._numbers[chosen])


@dataclass(frozen=True)
class Batch:
    """uint8 images [n, S, S, 3], their class indices [n], and the number of the step in its epoch."""

    images: Pixels
    classes: Classes
    step: int
