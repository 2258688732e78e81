"""Verdicts and groups, as a function of the set of images, their rank and what links them.

In rank order, an image joins the most certain representative of lower rank that it is a copy of, or becomes
a representative itself. So every member of a group of copies is a copy of the group's image, and a row of
slowly changing pictures never melts into one group (no chaining). It is ``near`` when it is a copy of any
image of lower rank. A photo that is no copy but belongs to a burst takes the group of the nearest earlier
photo of the burst: those may chain, for a burst stays together as a whole.

A judgement rests only on images of lower rank, and of those only on their group and whether they represent.
A change therefore touches the images whose links or rank changed, and from there on only what stands beside
an image whose group changed: ``revise`` walks exactly those, in rank order, each once.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from contracts.values import DuplicateVerdict, ImageId, Orientation, PersonName, UploadId

NOT_KEPT = 2**31 - 1
FAR_BITS = 257


class RankedImage(NamedTuple):
    """An image in the order of the library: what people kept, then by upload, ties by id."""

    tier: int
    """Steps from the top of the images that people kept over others; ``NOT_KEPT`` for most."""
    upload_id: UploadId
    image_id: ImageId


class Tie(IntEnum):
    """Why two images belong together; the lower the more certain."""

    PERSON = 0
    HASHES = 1
    VECTORS = 2
    BURST = 3
    """No copy, but of the same moment."""


class Link(NamedTuple):
    """An edge, as one of its two images sees it."""

    other: RankedImage
    tie: Tie
    distance_bits: int | None = None
    orientation: Orientation = Orientation.SAME
    """How the other has to be turned to look like this one."""
    similarity: float | None = None
    by: PersonName | None = None

    @property
    def nearness(self) -> tuple[int, int, float, RankedImage]:
        """Sorts the most certain first, then the nearest."""
        bits = FAR_BITS if self.distance_bits is None else self.distance_bits
        return (self.tie, bits, -(self.similarity or 0.0), self.other)


@dataclass(frozen=True)
class Judgement:
    """What is said of one image. ``duplicate_of`` is the nearest image of lower rank that it copies."""

    verdict: DuplicateVerdict
    group: ImageId
    duplicate_of: ImageId | None = None
    distance_bits: int | None = None
    orientation: Orientation = Orientation.SAME
    by: PersonName | None = None


class Standing(NamedTuple):
    """What other judgements may rest on."""

    represents: bool
    group: ImageId


class Library(Protocol):
    """What ``revise`` has to know of the images."""

    def links(self, image: RankedImage, waiting: Collection[RankedImage]) -> Sequence[Link]:
        """All edges of an image; those of ``waiting`` will be asked for soon."""

    def standing(self, image: RankedImage) -> Standing | None:
        """As judged so far; None when it has not been, or was not in use."""


def alone(image_id: ImageId) -> Judgement:
    """Of an image that is linked to nothing of lower rank."""
    return Judgement(DuplicateVerdict.UNIQUE, image_id)


def standing(image_id: ImageId, judgement: Judgement) -> Standing:
    """What a judgement says of the image's place."""
    member = judgement.verdict is DuplicateVerdict.NEAR and judgement.group != image_id
    return Standing(not member, judgement.group)


def judge(image: RankedImage, lower: Iterable[tuple[Link, Standing]]) -> Judgement:
    """Judge one image by its links to images of lower rank, whose own judgement is final."""
    by_nearness = sorted(lower, key=lambda item: item[0].nearness)
    if not by_nearness:
        return alone(image.image_id)
    nearest, its_standing = by_nearness[0]
    if nearest.tie is Tie.BURST:
        return Judgement(DuplicateVerdict.BURST, its_standing.group)
    joined = (s.group for link, s in by_nearness if s.represents and link.tie is not Tie.BURST)
    return Judgement(
        DuplicateVerdict.NEAR,
        next(joined, image.image_id),
        nearest.other.image_id,
        nearest.distance_bits,
        nearest.orientation,
        nearest.by,
    )


def revise(
    changed: Iterable[RankedImage], library: Library, *, spread: bool = True
) -> dict[RankedImage, Judgement]:
    """Judgements of ``changed`` and of every other image that follows from theirs.

    ``changed`` holds all images that are new, came back, or have other links or another rank than when they
    were judged; beside a changed rank or one that left, all that it is or was linked to. Without ``spread``
    only these are judged: for one who goes through the whole library in rank order.
    """
    waiting = sorted(set(changed))
    seen = set(waiting)
    judged: dict[RankedImage, Judgement] = {}
    now: dict[RankedImage, Standing] = {}
    while waiting:
        image = heapq.heappop(waiting)
        links = library.links(image, waiting)
        lower = ((link, _stands(link.other, now, library)) for link in links if link.other < image)
        judged[image] = judgement = judge(image, lower)
        now[image] = standing(image.image_id, judgement)
        if not spread or now[image] == library.standing(image):
            continue
        for link in links:
            if image < link.other and link.other not in seen:
                seen.add(link.other)
                heapq.heappush(waiting, link.other)
    return judged


def _stands(other: RankedImage, now: dict[RankedImage, Standing], library: Library) -> Standing:
    stands = now.get(other) or library.standing(other)
    assert stands is not None, f"{other.image_id} was never judged"
    return stands
