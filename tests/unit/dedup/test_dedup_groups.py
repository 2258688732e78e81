from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import DuplicateVerdict
from services.dedup.domain.groups import (
    NOT_KEPT,
    Judgement,
    Link,
    RankedImage,
    Standing,
    Tie,
    revise,
    standing,
)

LIMIT = 2
"""Against hashes of 7 bits: most images have a neighbour, and chains are common."""
Made = tuple[RankedImage, int]


def made(upload: int, bits: int, tier: int = NOT_KEPT) -> Made:
    return RankedImage(tier, f"upload-{upload:06}", f"{upload:064}"), bits


LIBRARIES = st.lists(st.builds(made, st.integers(0, 40), st.integers(0, 127)), unique_by=lambda m: m[0])


class Shelf:
    """A library in memory that asks ``revise`` what each arrival changes."""

    def __init__(self, burst_bits: int = LIMIT) -> None:
        self.bits: dict[RankedImage, int] = {}
        self.verdicts: dict[str, Judgement] = {}
        self.looked_at: list[RankedImage] = []
        self.burst_bits = burst_bits

    def arrive(self, new: list[Made]) -> None:
        self.bits |= dict(new)
        judged = revise((image for image, _ in new), self)
        self.verdicts |= {image.image_id: judgement for image, judgement in judged.items()}

    def links(self, image: RankedImage, _waiting: Collection[RankedImage]) -> list[Link]:
        self.looked_at.append(image)
        apart = {other: (self.bits[image] ^ bits).bit_count() for other, bits in self.bits.items()}
        return [
            Link(other, Tie.HASHES if bits <= LIMIT else Tie.BURST, bits)
            for other, bits in apart.items()
            if other != image and bits <= self.burst_bits
        ]

    def standing(self, image: RankedImage) -> Standing | None:
        judgement = self.verdicts.get(image.image_id)
        return judgement and standing(image.image_id, judgement)


def shelved(*batches: list[Made], burst_bits: int = LIMIT) -> Shelf:
    shelf = Shelf(burst_bits)
    for batch in batches:
        shelf.arrive(batch)
    return shelf


def of(shelf: Shelf, image: Made) -> Judgement:
    return shelf.verdicts[image[0].image_id]


@given(LIBRARIES.flatmap(st.permutations), st.integers(1, 8), st.integers(LIMIT, LIMIT + 1))
def test_any_order_and_any_batches_end_in_the_verdicts_of_the_set(
    arriving: list[Made], batch: int, burst_bits: int
) -> None:
    parts = [arriving[start : start + batch] for start in range(0, len(arriving), batch)]
    assert (
        shelved(*parts, burst_bits=burst_bits).verdicts == shelved(arriving, burst_bits=burst_bits).verdicts
    )


@given(LIBRARIES)
def test_no_group_of_copies_ever_chains(library: list[Made]) -> None:
    verdicts = shelved(library).verdicts
    by_id = {image.image_id: (image, bits) for image, bits in library}
    for image_id, verdict in verdicts.items():
        if verdict.group != image_id:
            assert verdicts[verdict.group].group == verdict.group
            assert (by_id[image_id][1] ^ by_id[verdict.group][1]).bit_count() <= LIMIT
            assert by_id[verdict.group] < by_id[image_id]


@given(LIBRARIES)
def test_each_image_is_looked_at_once_an_arrival(library: list[Made]) -> None:
    shelf = Shelf()
    for image in library:
        shelf.looked_at.clear()
        shelf.arrive([image])
        assert len(shelf.looked_at) == len(set(shelf.looked_at))


def test_an_arrival_in_rank_order_looks_at_nothing_but_itself() -> None:
    shelf = shelved([made(n, 0b1) for n in range(50)])
    shelf.looked_at.clear()
    late = made(99, 0b1)
    shelf.arrive([late])
    assert shelf.looked_at == [late[0]]


def test_a_row_of_slowly_changing_images_falls_into_several_groups() -> None:
    row = [made(n, (1 << n) - 1) for n in range(7)]
    shelf = shelved(row)
    ids = [image.image_id for image, _ in row]
    assert [of(shelf, image).group for image in row] == [ids[0]] * 3 + [ids[3]] * 3 + [ids[6]]
    assert [of(shelf, image).verdict for image in row] == ["unique"] + ["near"] * 6


def test_a_burst_takes_the_group_of_its_first_photo_and_copies_gather_where_they_belong() -> None:
    row = [made(n, (1 << 3 * n) - 1) for n in range(3)]
    copy = made(9, 0b1111111)
    shelf = shelved([*row, copy], burst_bits=3)
    first = row[0][0].image_id
    assert [of(shelf, image) for image in row[1:]] == [Judgement(DuplicateVerdict.BURST, first)] * 2
    assert (of(shelf, copy).duplicate_of, of(shelf, copy).group) == (row[2][0].image_id, first)


def test_an_earlier_upload_that_arrives_last_becomes_the_original() -> None:
    late, early = made(2, 0b1), made(1, 0b11)
    shelf = shelved([late], [early])
    first = early[0].image_id
    assert of(shelf, early) == Judgement(DuplicateVerdict.UNIQUE, first)
    assert of(shelf, late) == Judgement(DuplicateVerdict.NEAR, first, first, 1)


def test_what_a_person_kept_ranks_before_everything_else() -> None:
    kept, early = made(2, 0b1, tier=0), made(1, 0b11)
    assert of(shelved([early, kept]), early).duplicate_of == kept[0].image_id


def test_the_nearest_earlier_image_is_the_original_and_ties_go_to_rank() -> None:
    far, near, tied, copy = made(1, 0b11), made(2, 0b1), made(3, 0b10), made(4, 0b0)
    verdict = of(shelved([far, near, tied, copy]), copy)
    assert (verdict.duplicate_of, verdict.distance_bits) == (near[0].image_id, 1)
    assert verdict.group == far[0].image_id  # near and tied are members of far's group themselves
