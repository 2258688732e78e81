"""Pictures whose pixels are all equal: lossless copies in another format, or with other metadata."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from contracts.values import Orientation
from services.dedup.scan.matching import Order, Pair
from services.dedup.scan.reading import State
from services.dedup.scan.scanning import Readings, Scanner

NEARLY_BITS = 4
"""Hashes of equal pixels differ by 2 bits at most, where one file was decoded at a fraction of its size."""


def merge_equal(scanner: Scanner, made: Readings, order: Order, pairs: Sequence[Pair]) -> list[Pair]:
    """Count pictures of equal pixels as copies of the worthiest, in ``order``; the pairs that are left.

    Only pictures of one size whose hashes (nearly) agree are decoded again for it, and flat ones of one size.
    """
    wanted = _candidates(made, order, pairs)
    scanner.read_pixels(made, sorted(wanted))
    first: dict[bytes, int] = {}
    gone = set()
    for number in order.numbers.tolist():
        digest = made.digests[number] if number in wanted else b""
        kept = first.setdefault(digest, number) if digest else number
        if kept != number:
            gone.add(number)
            order.copies[kept] += [number, *order.copies.pop(number, [])]
    hashed = order.hashed.tolist()
    return [pair for pair in pairs if gone.isdisjoint((hashed[pair.one], hashed[pair.other]))]


def _candidates(made: Readings, order: Order, pairs: Sequence[Pair]) -> set[int]:
    hashed = order.hashed.tolist()
    wanted: set[int] = set()
    for pair in pairs:
        if pair.orientation is Orientation.SAME and pair.distance_bits <= NEARLY_BITS:
            two = (hashed[pair.one], hashed[pair.other])
            if _size(made, two[0]) == _size(made, two[1]):
                wanted.update(two)
    flat = defaultdict(list)
    for number in order.numbers[made.state[order.numbers] == State.FLAT].tolist():
        flat[_size(made, number)].append(number)
    return wanted.union(*(numbers for numbers in flat.values() if len(numbers) > 1))


def _size(made: Readings, number: int) -> tuple[int, int]:
    return int(made.width[number]), int(made.height[number])
