"""What dedup keeps, and what it says of every change, on SQLite in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.values import DuplicateVerdict, LabelKind, Orientation, PairState
from services.dedup.domain.alike import Limits
from services.dedup.domain.faults import OtherLimits
from services.dedup.domain.pairs import REVIEW_PAIRS
from services.dedup.index.log import FILE_NAME
from services.dedup.judging import Judged, verdict_pairs
from services.dedup.store.images import insert_images
from services.dedup.store.labels import LabelNews
from services.dedup.store.tables import fingerprint, pair, verdict
from tests.support.dedup_desk import AT, Desk, database
from tests.support.dedup_model import image

WIDE = Limits(
    automatic_bits=3, review_bits=4, turned_automatic_bits=1, turned_review_bits=2, candidate_bits=2
)


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    with database() as made:
        yield made


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


def test_every_new_image_gets_exactly_one_first_verdict(desk: Desk) -> None:
    library = [image(n, 1 << (n % 3)) for n in range(20)]
    assert desk.accept(*library).new == 20
    assert len([said for said in desk.said() if said.startswith("image.deduplicated")]) == 20


def test_a_repeated_batch_changes_and_says_nothing(desk: Desk) -> None:
    library = [image(n, n) for n in range(10)]
    desk.accept(*library)
    before, messages = desk.verdicts(), desk.said()
    assert desk.accept(*library) == Judged()
    assert (desk.verdicts(), desk.said()) == (before, messages)


def test_a_late_early_upload_revises_the_verdicts_it_changes(desk: Desk, engine: sa.Engine) -> None:
    bystander, late, early = image(1, 0b1111111), image(3, 0b1), image(2, 0b1)
    desk.accept(bystander, late)
    done = desk.accept(early)
    assert (done.new, done.verdicts) == (1, 2)
    with engine.connect() as connection:
        revision = sa.select(verdict.c.revision).where(verdict.c.image_id == late.image_id)
        assert connection.scalar(revision) == 2
    assert desk.verdict_of(late) == ("near", early.image_id, early.image_id)


def test_a_rolled_back_batch_leaves_no_trace_in_the_index(desk: Desk) -> None:
    def fail(unit: object) -> None:
        desk.judging.accept(unit, [image(1, 0)], AT)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.do(fail)
    desk.accept(image(2, 0))
    desk.check()


def test_a_writer_that_missed_another_one_s_commit_catches_up(desk: Desk, engine: sa.Engine) -> None:
    other = Desk(engine)
    desk.accept(image(1, 0))
    other.accept(image(2, 0))
    desk.accept(image(3, 0))
    desk.model.images = {a.image_id: a for a in (image(1, 0), image(2, 0), image(3, 0))}
    desk.check()


def test_two_writers_cannot_take_the_same_change(desk: Desk, engine: sa.Engine) -> None:
    desk.accept(image(1, 0))
    [taken] = desk.do(lambda unit: list(unit.connection.execute(sa.select(fingerprint))))
    row = taken._asdict() | {"image_id": "f" * 64, "position": 2}
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(fingerprint), [row])
    assert insert_images.__module__  # the one place that numbers them


def test_a_turned_copy_is_found_whichever_comes_first(desk: Desk) -> None:
    upright, turned = image(1, 0b10), image(2, 0b10, turn=Orientation.ROTATE_90)
    other, other_turned = image(4, 0b1110000), image(3, 0b1110000, turn=Orientation.ROTATE_90)
    desk.accept(upright)
    desk.accept(turned)
    desk.accept(other)
    desk.accept(other_turned)
    found = desk.verdicts()
    assert found[turned.image_id].orientation is Orientation.ROTATE_90
    assert found[other.image_id].orientation is Orientation.ROTATE_270
    desk.check()


def test_images_of_the_release_before_are_found_turned_as_well(desk: Desk) -> None:
    old, new = image(1, 0b1, noise=3), image(2, 0b1, turn=Orientation.FLIP_LEFT_RIGHT)
    assert old.fingerprint.turned is None
    desk.accept(old)
    desk.accept(new)
    assert desk.verdict_of(new)[2] == old.image_id


def test_a_rejected_image_leaves_its_group_and_comes_back(desk: Desk) -> None:
    first, second, third = image(1, 0b1), image(2, 0b1), image(3, 0b1)
    desk.accept(first, second, third)
    desk.reject(first)
    assert desk.verdict_of(second) == ("unique", second.image_id, None)
    assert desk.verdict_of(third) == ("near", second.image_id, second.image_id)
    desk.check()
    desk.bring_back(first)
    assert desk.verdict_of(third) == ("near", first.image_id, first.image_id)
    desk.check()


def test_a_label_that_came_before_its_image_counts(desk: Desk) -> None:
    rejected, later = image(1, 0), image(2, 0)
    desk.reject(rejected)
    desk.accept(rejected, later)
    assert desk.verdict_of(later) == ("unique", later.image_id, None)


def test_an_old_label_that_comes_late_changes_nothing(desk: Desk) -> None:
    made = image(1, 0)
    desk.accept(made)
    desk.bring_back(made)
    desk.reject(made)
    old = LabelNews(made.image_id, 1, "otter", LabelKind.CLASS)
    assert desk.do(lambda unit: desk.judging.label(unit, [old], AT)) == Judged()
    desk.check()


def test_what_looks_alike_is_a_pair_and_closes_when_one_is_rejected(desk: Desk) -> None:
    one, other = image(1, 0), image(2, 0b11)
    desk.accept(one, other)
    assert desk.state_of(one, other) is PairState.REVIEW
    desk.reject(other)
    assert desk.state_of(one, other) is None
    desk.bring_back(other)
    assert desk.state_of(one, other) is PairState.REVIEW
    assert len([said for said in desk.said() if said.startswith("image.pair-judged")]) == 3


def test_the_better_of_a_pair_is_suggested(desk: Desk, engine: sa.Engine) -> None:
    small, large = image(1, 0, side_px=100), image(2, 0b11, side_px=200)
    desk.accept(small, large)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(pair.c.suggested_keep)) == large.image_id


def test_the_nearest_earlier_images_are_offered_and_another_when_one_leaves(desk: Desk) -> None:
    earlier = [image(n, 0b11, twin=n) for n in range(REVIEW_PAIRS + 2)]
    late = image(99, 0)
    desk.accept(*earlier[: REVIEW_PAIRS + 1])
    desk.accept(late)
    desk.accept(earlier[-1])
    assert len(desk.pairs()) == REVIEW_PAIRS
    desk.check()
    desk.reject(earlier[0], earlier[5])
    assert len(desk.pairs()) == REVIEW_PAIRS
    desk.check()


def test_photos_of_a_burst_stay_together_and_need_nobody(desk: Desk) -> None:
    row = [image(n, (1 << 2 * n) - 1, guest="ann", taken_at=AT + timedelta(seconds=40 * n)) for n in range(3)]
    stranger = image(3, 0b110000, guest="bob", taken_at=AT)
    desk.accept(*row, stranger)
    assert [desk.verdict_of(made) for made in row[1:]] == [("burst", row[0].image_id, None)] * 2
    assert desk.state_of(row[0], row[1]) is PairState.BURST
    assert desk.verdict_of(stranger)[0] is DuplicateVerdict.UNIQUE


def test_vectors_propose_pairs_but_not_more_than_a_person_can_look_at(desk: Desk) -> None:
    one, *others = (image(n, None, twin=n) for n in range(REVIEW_PAIRS + 5))
    desk.accept(one, *others)
    offers = [(one, other, PairState.REVIEW, 0.5 + n / 100) for n, other in enumerate(others)]
    assert desk.propose(*offers) == REVIEW_PAIRS
    assert desk.state_of(one, others[-1]) is PairState.REVIEW
    assert desk.state_of(one, others[0]) is None
    assert desk.propose((one, others[-1], PairState.AUTOMATIC, 0.99)) == 1
    assert desk.verdict_of(others[-1]) == ("near", one.image_id, one.image_id)
    desk.propose((one, others[-1], PairState.CLOSED, 0.3))
    assert desk.verdict_of(others[-1])[0] is DuplicateVerdict.UNIQUE


def test_people_s_verdicts_are_told_with_what_was_measured(desk: Desk, engine: sa.Engine) -> None:
    one, other = sorted((image(1, 0), image(2, 0b11)), key=lambda made: made.image_id)
    desk.accept(one, other)
    desk.label((one.image_id, LabelKind.CLASS), (other.image_id, LabelKind.UNKNOWN))
    desk.resolve(one, other, keep=one)
    with engine.connect() as connection:
        [told] = verdict_pairs(connection)
    assert told[2:] == (True, "label", None, 2, None, "phash-256/1")


def test_changed_limits_are_applied_to_all_that_is_stored(desk: Desk) -> None:
    desk.accept(*(image(n, (1 << n) - 1) for n in range(7)))
    desk.start(WIDE)
    desk.check()
    messages = desk.said()
    desk.start()
    assert desk.said() == messages


def test_a_process_with_other_limits_is_refused_instead_of_mixing_verdicts(
    desk: Desk, engine: sa.Engine
) -> None:
    Desk(engine, limits=WIDE)
    with pytest.raises(OtherLimits, match="MENAGERIE_MAX_DISTANCE_BITS"):
        desk.accept(image(1, 0))


@pytest.mark.parametrize("damage", ["missing", "broken", "ahead", "of another database"])
def test_a_log_that_cannot_be_trusted_is_rebuilt_from_the_table(damage: str, tmp_path: Path) -> None:
    log = tmp_path / FILE_NAME
    with database(f"sqlite:///{tmp_path}/one.sqlite") as engine:
        desk = Desk(engine, tmp_path)
        desk.accept(image(1, 0), image(2, 0b1110000))
        desk.accept(image(3, 0b1))  # the log learns what is committed before
        if damage == "missing":
            log.unlink()
        if damage == "broken":
            log.write_bytes(log.read_bytes()[:-5] + b"trash")
        if damage == "ahead":
            with engine.begin() as connection:
                for table in (fingerprint, verdict):
                    connection.execute(sa.delete(table).where(table.c.image_id != image(2, 0).image_id))
        desk.stop()
    name = "other" if damage == "of another database" else "one"
    with database(f"sqlite:///{tmp_path}/{name}.sqlite") as engine:
        desk = Desk(engine, tmp_path)
        desk.accept(image(4, 0))
        with engine.connect() as connection:
            stored = connection.scalar(sa.select(sa.func.count()).select_from(fingerprint))
        assert stored == {"ahead": 2, "of another database": 1}.get(damage, 4)
        desk.stop()


def test_the_widest_neighbourhood_is_reported(desk: Desk) -> None:
    assert desk.accept(*(image(n, 0) for n in range(30))).widest == 29
