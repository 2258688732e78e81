"""What a label says, and what a request to set one changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.values import LabelKind

UNKNOWN_WORDS = re.compile(r"\s*(unknown|random)(?![^\W_])", re.IGNORECASE)


@dataclass(frozen=True)
class ImageLabel:
    """The label of an image; ``revision`` counts its changes from 1, 0 is one that never had a label."""

    text: str | None
    kind: LabelKind | None
    revision: int


@dataclass(frozen=True)
class LabelChange:
    """A change to be kept for ever.

    ``previous`` is None when there was no label before it, ``text`` when there is none after it.
    """

    revision: int
    previous: str | None
    previous_kind: LabelKind | None
    text: str | None
    kind: LabelKind | None

    @property
    def label(self) -> ImageLabel:
        """The image's label after the change."""
        return ImageLabel(self.text, self.kind, self.revision)


@dataclass(frozen=True)
class Opinion:
    """What a person thinks an image shows."""

    by: str
    text: str
    kind: LabelKind


def kind_of(label: str) -> LabelKind:
    """``unknown`` for "Unknown Bird", "Random Plant" and the like, else ``class``.

    Out-of-scope and rejected images are told by no word: whoever labels them names the kind.
    """
    return LabelKind.UNKNOWN if UNKNOWN_WORDS.match(label) else LabelKind.CLASS


def stored_kind(text: str | None) -> LabelKind | None:
    """The kind as a column or a manifest holds it; None is an image without label."""
    return None if text is None else LabelKind(text)


def change(current: ImageLabel, label: str, kind: LabelKind | None) -> LabelChange | None:
    """The change that gives an image ``label``; None when it already says so."""
    return _change(current, label, kind or kind_of(label))


def undone(current: ImageLabel, changes: Iterable[LabelChange]) -> LabelChange | None:
    """The change that takes back ``changes``, which were ordered together for one image.

    None when the image was changed since: its newest change is not among them. Of several in a row
    all are taken back; further ones, with somebody else's in between, are history.
    """
    by_revision = {made.revision: made for made in changes}
    first = None
    revision = current.revision
    while revision in by_revision:
        first = by_revision[revision]
        revision -= 1
    return None if first is None else _change(current, first.previous, first.previous_kind)


def agrees(label: ImageLabel, opinion: Opinion) -> bool:
    """Whether the person sees what the label says."""
    return (label.text, label.kind) == (opinion.text, opinion.kind)


def disagreement(label: ImageLabel, labeller: str | None, opinions: Iterable[Opinion]) -> bool:
    """Whether somebody other than who set the label sees something else; ``opinions`` oldest first.

    A person's newer opinion counts instead of their older one. An image without label can be disagreed
    with by nobody.
    """
    newest = {opinion.by: opinion for opinion in opinions if opinion.by != labeller}
    return label.text is not None and not all(agrees(label, opinion) for opinion in newest.values())


def _change(current: ImageLabel, text: str | None, kind: LabelKind | None) -> LabelChange | None:
    if (current.text, current.kind) == (text, kind):
        return None
    return LabelChange(current.revision + 1, current.text, current.kind, text, kind)
