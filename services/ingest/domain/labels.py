"""What a label says, and what a request to set one changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts.values import LabelKind

UNKNOWN_WORDS = re.compile(r"\s*(unknown|random)(?![^\W_])", re.IGNORECASE)


@dataclass(frozen=True)
class ImageLabel:
    """The label of an image; ``revision`` counts its changes from 1, 0 is an image without label."""

    text: str | None
    kind: LabelKind | None
    revision: int


@dataclass(frozen=True)
class LabelChange:
    """A change to be kept for ever: ``previous`` is None at the first label."""

    revision: int
    previous: str | None
    text: str
    kind: LabelKind

    @property
    def label(self) -> ImageLabel:
        """The image's label after the change."""
        return ImageLabel(self.text, self.kind, self.revision)


def kind_of(label: str) -> LabelKind:
    """``unknown`` for "Unknown Bird", "Random Plant" and the like, which are never trained on."""
    return LabelKind.UNKNOWN if UNKNOWN_WORDS.match(label) else LabelKind.CLASS


def change(current: ImageLabel, label: str, kind: LabelKind | None) -> LabelChange | None:
    """The change that gives an image ``label``; None when it already says so."""
    wanted = kind or kind_of(label)
    if current.text == label and current.kind == wanted:
        return None
    return LabelChange(current.revision + 1, current.text, label, wanted)
