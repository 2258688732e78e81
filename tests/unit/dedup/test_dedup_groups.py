from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import DuplicateVerdict
from services.dedup.domain.groups import Judgement, Neighbour, RankedImage, revise
from tests.support.libraries import MAX_DISTANCE_BITS, bits_apart, image, judged_from_scratch, libraries


class Shelf:
    """A library in memory that asks ``revise`` what each arrival changes."""

    def __init__(self) -> None:
        self.images: list[RankedImage] = []
        self.verdicts: dict[str, Judgement] = {}
        self.looked_at: list[RankedImage] = []

    def arrive(self, new: list[RankedImage]) -> None:
        self.images += new
        judged = revise(new, self.near)
        self.verdicts |= {i.image_id: judgement for i, judgement in judged.items()}

    def near(self, centre: RankedImage) -> list[Neighbour]:
        self.looked_at.append(centre)
        return [
            Neighbour(other, bits_apart(centre, other), self.represents(other))
            for other in self.images
            if other != centre and bits_apart(centre, other) <= MAX_DISTANCE_BITS
        ]

    def represents(self, other: RankedImage) -> bool:
        verdict = self.verdicts.get(other.image_id)
        return verdict is not None and verdict.group == other.image_id


def shelved(*batches: list[RankedImage]) -> Shelf:
    shelf = Shelf()
    for batch in batches:
        shelf.arrive(batch)
    return shelf


@given(libraries().flatmap(st.permutations), st.integers(1, 8))
def test_any_order_and_any_batches_end_in_the_verdicts_of_the_set(
    arriving: list[RankedImage], batch: int
) -> None:
    shelf = shelved(*(arriving[start : start + batch] for start in range(0, len(arriving), batch)))
    assert shelf.verdicts == judged_from_scratch(arriving, MAX_DISTANCE_BITS)


@given(libraries())
def test_no_group_ever_chains(library: list[RankedImage]) -> None:
    verdicts = shelved(library).verdicts
    by_id = {made.image_id: made for made in library}
    for image_id, verdict in verdicts.items():
        if verdict.group != image_id:
            assert verdicts[verdict.group].group == verdict.group
            assert bits_apart(by_id[image_id], by_id[verdict.group]) <= MAX_DISTANCE_BITS
            assert by_id[verdict.group] < by_id[image_id]


@given(libraries())
def test_each_image_is_looked_at_once_an_arrival(library: list[RankedImage]) -> None:
    shelf = Shelf()
    for made in library:
        shelf.looked_at.clear()
        shelf.arrive([made])
        assert len(shelf.looked_at) == len(set(shelf.looked_at))


def test_an_arrival_in_rank_order_looks_at_nothing_but_itself() -> None:
    shelf = shelved([image(n, 0b1) for n in range(50)])
    shelf.looked_at.clear()
    late = image(99, 0b1)
    shelf.arrive([late])
    assert shelf.looked_at == [late]


def test_a_row_of_slowly_changing_images_falls_into_several_groups() -> None:
    row = [image(n, (1 << n) - 1) for n in range(7)]
    verdicts = shelved(row).verdicts
    groups = [verdicts[made.image_id].group for made in row]
    assert groups == [row[0].image_id] * 3 + [row[3].image_id] * 3 + [row[6].image_id]
    assert [verdicts[made.image_id].verdict for made in row] == ["unique"] + ["near"] * 6


def test_an_earlier_upload_that_arrives_last_becomes_the_original() -> None:
    late, early = image(2, 0b1), image(1, 0b11)
    verdicts = shelved([late], [early]).verdicts
    assert verdicts[early.image_id] == Judgement(group=early.image_id)
    assert verdicts[late.image_id] == Judgement(early.image_id, early.image_id, 1)


def test_the_nearest_earlier_image_is_the_original_and_ties_go_to_rank() -> None:
    far, near, tied = image(1, 0b11), image(2, 0b1), image(3, 0b10)
    copy = image(4, 0b0)
    verdict = shelved([far, near, tied, copy]).verdicts[copy.image_id]
    assert (verdict.duplicate_of, verdict.distance_bits) == (near.image_id, 1)
    assert verdict.group == far.image_id  # near and tied are members of far's group themselves


def test_images_without_a_hash_match_nothing() -> None:
    verdicts = shelved([image(1, None), image(2, None), image(3, 0)]).verdicts
    assert {verdict.verdict for verdict in verdicts.values()} == {DuplicateVerdict.UNIQUE}
