"""Verdicts and groups, as a function of the set of images and their rank.

In rank order, an image joins the nearest representative of lower rank within the distance, or
becomes a representative itself. So every member lies within the distance of its group's image,
and a row of slowly changing pictures never melts into one group (no chaining). It is ``near``
when any image of lower rank lies within the distance.

A judgement rests only on neighbours of lower rank. An arrival therefore touches itself, its
neighbours of higher rank, and from there on only what stands beside an image that became or
ceased to be a representative: ``revise`` walks exactly those, in rank order, each once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from contracts.values import DuplicateVerdict, ImageId


@dataclass(frozen=True, order=True)
class RankedImage:
    """An image in the order of the library: by upload, ties by id."""

    rank: str
    image_id: ImageId
    hash: bytes | None = field(compare=False, repr=False)


@dataclass(frozen=True)
class Neighbour:
    """An image within the distance, and whether it stood for a group so far."""

    image: RankedImage
    distance_bits: int
    represents: bool


@dataclass(frozen=True)
class Judgement:
    """What is said of one image. ``duplicate_of`` is the nearest image of lower rank."""

    group: ImageId
    duplicate_of: ImageId | None = None
    distance_bits: int | None = None

    @property
    def verdict(self) -> DuplicateVerdict:
        """Near when it repeats an earlier image."""
        return DuplicateVerdict.UNIQUE if self.duplicate_of is None else DuplicateVerdict.NEAR


def judge(image: RankedImage, lower: Iterable[Neighbour]) -> Judgement:
    """Judge one image by its neighbours of lower rank, whose own judgement is final."""
    by_nearness = sorted(lower, key=lambda neighbour: (neighbour.distance_bits, neighbour.image))
    if not by_nearness:
        return Judgement(group=image.image_id)
    nearest = by_nearness[0]
    group = next((n.image.image_id for n in by_nearness if n.represents), image.image_id)
    return Judgement(group, nearest.image.image_id, nearest.distance_bits)


def revise(
    new: Iterable[RankedImage], near: Callable[[RankedImage], Sequence[Neighbour]]
) -> dict[RankedImage, Judgement]:
    """Judgements of ``new`` and of every older image that their arrival may change.

    ``near`` gives all images within the distance of one, old and new alike, itself left out.
    """
    stood: dict[RankedImage, bool | None] = dict.fromkeys(new)
    waiting = sorted(stood)
    judged: dict[RankedImage, Judgement] = {}
    represents: dict[RankedImage, bool] = {}
    while waiting:
        image = heapq.heappop(waiting)
        around = near(image)
        lower = (
            Neighbour(n.image, n.distance_bits, represents.get(n.image, n.represents))
            for n in around
            if n.image < image
        )
        judged[image] = judgement = judge(image, lower)
        represents[image] = judgement.group == image.image_id
        if represents[image] == stood[image]:
            continue
        for neighbour in around:
            if image < neighbour.image and neighbour.image not in stood:
                stood[neighbour.image] = neighbour.represents
                heapq.heappush(waiting, neighbour.image)
    return judged
