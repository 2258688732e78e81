"""Pairs equal those of looking at every two pictures, whatever the order and the number of threads."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint, of_grey
from services.dedup.domain.turning import as_turned, turned_distances
from services.dedup.scan import searching
from services.dedup.scan.asked import TooManyPairs
from services.dedup.scan.folder import Files, Key
from services.dedup.scan.grouping import grouped
from services.dedup.scan.hashing import hashes_of
from services.dedup.scan.matching import Order, Pair, Prints, in_order, pairs
from services.dedup.scan.reading import State
from services.dedup.scan.scanning import Readings
from tests.support.pictures import noise

WIDE = Limits(candidate_bits=110, review_bits=110, review_agreement=0.0, low_detail_review_bits=60)
"""So much is alike that the search has something to do."""


def shapes(seed: int) -> Image.Image:
    """A dark blot before white: mostly background, so the strict limits count."""
    image = Image.new("L", (64, 64), 255)
    image.paste(noise(4, 4, seed).convert("L").resize((28, 28)), (4 + seed % 5, 8 + seed % 7))
    return image


def pictures() -> list[Image.Image]:
    """Scenes with copies that are altered, mirrored and turned, and line art."""
    made = []
    for seed in range(12):
        scene = noise(8, 8, seed).convert("L").resize((96, 96), Image.Resampling.BICUBIC)
        turned = scene.transpose(Image.Transpose(seed % 7))
        made += [scene, turned, Image.blend(scene, noise(96, 96, seed).convert("L"), 0.25), shapes(seed)]
    made += [shapes(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), shapes(0).resize((50, 50))]
    return made


def readings(images: list[Image.Image]) -> tuple[Readings, Order]:
    made = Readings(len(images))
    for number, image in enumerate(images):
        found = hashes_of(np.array(image))
        assert found.turned is not None
        assert found.sketch is not None
        made.turned[number] = as_turned([found.turned])[0]
        made.sketch[number] = np.frombuffer(found.sketch, np.uint8)
        made.background[number] = found.background
    places = np.arange(len(images))
    return made, Order(places, places, {})


def by_hand(prints: list[Fingerprint], limits: Limits, *, orientations: bool) -> list[Pair]:
    found = []
    for one, other in combinations(range(len(prints)), 2):
        two = [as_turned([made.turned or b""]) for made in (prints[one], prints[other])]
        distances = turned_distances(*two)[0].tolist()
        measured = [
            Pair(one, other, likeness(prints[one], prints[other], bits, turn, limits), bits, turn)
            for bits, turn in zip(distances, ORIENTATIONS, strict=True)
        ]
        good = [pair for pair in measured[: 8 if orientations else 1] if pair.likeness is not Likeness.NONE]
        if good:
            found.append(
                min(good, key=lambda pair: (pair.likeness is not Likeness.AUTOMATIC, pair.distance_bits))
            )
    return found


@pytest.mark.parametrize("limits", [Limits(), WIDE], ids=["usual", "wide"])
@pytest.mark.parametrize("orientations", [True, False])
def test_all_pairs_are_those_of_looking_at_every_two(
    limits: Limits, orientations: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LEAST_ROWS", 7)
    images = pictures()
    wanted = by_hand([of_grey(image) for image in images], limits, orientations=orientations)
    assert wanted
    made, order = readings(images)
    for threads in (1, 3):
        assert pairs(Prints(made, order), limits, orientations=orientations, threads=threads) == wanted


def test_more_pairs_than_anybody_can_look_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_PAIRS", 20)
    made, order = readings([shapes(0).resize((60 + number, 60)) for number in range(9)])
    with pytest.raises(TooManyPairs, match="give a smaller --distance"):
        pairs(Prints(made, order), Limits(), orientations=True, threads=2)


def test_nothing_and_one_picture_have_no_pairs() -> None:
    for count in (0, 1):
        made, order = readings([shapes(number) for number in range(count)])
        assert pairs(Prints(made, order), Limits(), orientations=True, threads=2) == []


def test_members_are_copies_of_what_is_kept_and_nobody_chains() -> None:
    def pair(one: int, other: int, bits: int, like: Likeness = Likeness.AUTOMATIC) -> Pair:
        return Pair(one, other, like, bits, ORIENTATIONS[0])

    found = grouped([pair(0, 1, 10), pair(1, 2, 5), pair(2, 3, 5), pair(3, 4, 70, Likeness.REVIEW)])
    assert {kept: [copy.other for copy in members] for kept, members in found.members.items()} == {
        0: [1],
        2: [3],
    }
    assert [(copy.one, copy.other) for copy in found.others] == [(1, 2)]
    assert [(other.one, other.other) for other in found.review] == [(3, 4)]


def test_at_most_twenty_pairs_to_review_stand_beside_a_picture() -> None:
    found = grouped([Pair(one, 30, Likeness.REVIEW, 100 - one, ORIENTATIONS[0]) for one in range(30)]).review
    assert [pair.one for pair in found] == list(range(10, 30))


def test_the_larger_then_the_sharper_then_the_larger_file_then_the_first_name_is_worth_most() -> None:
    facts = (
        (10, 10, 5, 100),
        (20, 10, 1, 50),
        (20, 10, 9, 50),
        (20, 10, 9, 60),
        (20, 10, 9, 60),
        (20, 10, 9, 60),
    )
    files = Files(b"/", [b"%d" % number for number in range(6)])
    files.keys = [Key(0, number, fact[3], 0, 0) for number, fact in enumerate(facts)]
    made = Readings(6)
    for number, (width, height, sharpness, _) in enumerate(facts):
        made.width[number], made.height[number], made.sharpness[number] = width, height, sharpness
        made.state[number] = State.PICTURE
        made.sha256[number] = min(number, 4)  # the last two hold the same bytes
    order = in_order(files, made)
    assert order.numbers.tolist() == order.hashed.tolist() == [3, 4, 2, 1, 0]
    assert order.copies == {4: [5]}
