"""Groups of copies, as dedup makes them: every member is a copy of the group's first picture, no chains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from services.dedup.domain.alike import Likeness
from services.dedup.domain.groups import NOT_KEPT, Link, RankedImage, Standing, Tie, revise
from services.dedup.domain.pairs import REVIEW_PAIRS
from services.dedup.domain.turning import BACK
from services.dedup.scan.matching import Pair


class Groups(NamedTuple):
    """By place in the order of worth."""

    members: dict[int, list[Pair]]
    """Of the first picture of each group, the pairs with its copies."""
    others: list[Pair]
    """Automatic pairs whose pictures stand in different groups: a copy of a copy."""
    review: list[Pair]
    """For a person; at most 20 of the nearest for each picture."""


class _Folder:
    """What ``revise`` has to know: nobody judged anything before."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.linked: dict[RankedImage, list[Link]] = defaultdict(list)
        for pair in pairs:
            one, other = _ranked(pair.one), _ranked(pair.other)
            back = BACK[pair.orientation]
            self.linked[one].append(Link(other, Tie.HASHES, pair.distance_bits, back))
            self.linked[other].append(Link(one, Tie.HASHES, pair.distance_bits, pair.orientation))

    def links(self, image: RankedImage, waiting: Collection[RankedImage]) -> Sequence[Link]:  # noqa: ARG002
        return self.linked[image]

    def standing(self, image: RankedImage) -> Standing | None:  # noqa: ARG002
        return None


def grouped(pairs: Sequence[Pair]) -> Groups:
    """Groups of the pictures in ``pairs``, which are in order."""
    automatic = [pair for pair in pairs if pair.likeness is Likeness.AUTOMATIC]
    folder = _Folder(automatic)
    group = {int(image.image_id): int(said.group) for image, said in revise(folder.linked, folder).items()}
    members: dict[int, list[Pair]] = defaultdict(list)
    others = []
    for pair in automatic:
        if group[pair.other] == pair.one:
            members[pair.one].append(pair)
        elif group[pair.one] != group[pair.other]:
            others.append(pair)
    return Groups(dict(members), others, _for_review(pairs))


def _for_review(pairs: Iterable[Pair]) -> list[Pair]:
    """Beside each picture so many of the nearest before it, as dedup offers them."""
    before: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.likeness is Likeness.REVIEW:
            before[pair.other].append(pair)
    return sorted(
        pair
        for found in before.values()
        for pair in sorted(found, key=lambda pair: (pair.distance_bits, pair.one))[:REVIEW_PAIRS]
    )


def _ranked(place: int) -> RankedImage:
    name = f"{place:012d}"
    return RankedImage(NOT_KEPT, name, name)
