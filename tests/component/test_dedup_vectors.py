"""From files of similarity vectors to pairs: the real tables, files and object store."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.values import ObjectRef
from services.dedup.domain.pairs import Moment
from services.dedup.store.vectors import stored_thresholds
from services.dedup.vector_handlers import ImagesNotYetKnown
from services.runtime.delivery import Unprocessable
from services.runtime.objectstore import ObjectMissing
from tests.support.servers import S3Server
from tests.support.vector_house import DIMENSIONS, ENCODER, VectorHouse, chance_vector, key, name, vector


@pytest.fixture
def house(weed: S3Server, database_url: str, tmp_path: Path) -> Iterator[VectorHouse]:
    made = VectorHouse(weed, database_url, tmp_path / "work")
    yield made
    made.close()


@pytest.fixture
def small(weed: S3Server, tmp_path: Path) -> Iterator[VectorHouse]:
    """On SQLite alone."""
    made = VectorHouse(weed, f"sqlite:///{tmp_path}/small.sqlite", tmp_path / "work")
    yield made
    made.close()


async def test_pictures_that_look_alike_to_the_network_go_to_review(house: VectorHouse) -> None:
    await house.images(1, 2, 3, 4)
    await house.hear(house.told("run", {1: vector(1), 2: vector(1, 0.9), 3: vector(1, 0.2), 4: vector(2)}))
    [(pair, (state, similarity, detector))] = house.pairs().items()
    assert (pair, state, detector) == (key(1, 2), "review", ENCODER)
    assert similarity == pytest.approx(0.9, abs=0.001)


async def test_a_later_file_is_compared_with_all_before_it(house: VectorHouse) -> None:
    await house.images(*range(6))
    await house.hear(house.told("first", {0: vector(0), 1: vector(1)}))
    await house.hear(house.told("second", {2: vector(0, 0.95), 3: vector(3)}, minute=1))
    house.restart()
    await house.hear(house.told("third", {4: vector(3, 0.9), 5: vector(1, 0.88), 0: vector(0)}, minute=2))
    assert set(house.pairs()) == {key(0, 2), key(3, 4), key(1, 5)}


async def test_a_repeated_message_says_nothing_new(house: VectorHouse) -> None:
    await house.images(1, 2)
    event = house.told("run", {1: vector(1), 2: vector(1, 0.9)})
    await house.hear(event)
    before = house.said()
    house.restart()
    await house.hear(event, attempt=2)
    assert house.said() == before


async def test_a_process_that_is_killed_anywhere_leaves_the_same_pairs(
    small: VectorHouse, tmp_path: Path, weed: S3Server
) -> None:
    async def story(house: VectorHouse, hear: Callable[[Any], Any]) -> tuple[Any, list[str]]:
        await house.images(*range(8))
        await hear(house.told("first", {n: vector(n % 3, 1 - n / 50) for n in range(5)}))
        await hear(house.told("second", {n: vector(n % 3, 1 - n / 50) for n in range(5, 8)}, minute=1))
        return house.pairs(), house.said()

    undisturbed = await story(small, small.hear)
    assert undisturbed[0]
    killed = VectorHouse(weed, f"sqlite:///{tmp_path}/killed.sqlite", tmp_path / "killed")

    async def hear_and_die(event: Any) -> None:
        for step in range(100):
            killed.restart()
            if await dies_at(killed, step, event):
                return
        raise AssertionError("it never ended")

    assert await story(killed, hear_and_die) == undisturbed
    killed.close()


class Killed(BaseException):
    """No handler of errors may see it, as nothing sees a SIGKILL."""


async def dies_at(house: VectorHouse, step: int, event: Any) -> bool:
    """Hear the message, dying before or after the transaction of that number; True when it was over before."""
    database, calls = house.service.database, 0

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(work: Callable[..., Any]) -> Any:
            nonlocal calls
            if (calls := calls + 1) == step:
                raise Killed
            result = await real(work)
            if (calls := calls + 1) == step:
                raise Killed
            return result

        return call

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(database, "run", mortal(database.run))
        changed.setattr(database, "read", mortal(database.read))
        try:
            await house.hear(event)
        except Killed:
            return False
    return True


async def test_two_replicas_that_compare_at_once_miss_no_pair(house: VectorHouse, tmp_path: Path) -> None:
    await house.images(*range(4))
    other = VectorHouse(house.s3, house.database_url, tmp_path / "other")
    first = house.told("first", {0: vector(0), 1: vector(1)})
    second = house.told("second", {2: vector(0, 0.9), 3: vector(1, 0.9)})
    await asyncio.gather(house.hear(first), other.hear(second))
    other.close()
    assert set(house.pairs()) == {key(0, 2), key(1, 3)}


async def test_pairs_of_a_new_encoder_replace_the_open_ones_of_the_former(house: VectorHouse) -> None:
    await house.images(*range(6))
    await house.hear(house.told("old", {n: vector(n // 2, 0.9 if n % 2 else 1.0) for n in range(6)}))
    await house.says((0, 1), duplicate=False)
    await house.hear(
        house.told(
            "new",
            {0: vector(0), 1: vector(0), 2: vector(5), 3: vector(6), 4: vector(7), 5: vector(7)},
            "2",
            5,
        )
    )
    states = {pair: (state, detector) for pair, (state, _, detector) in house.pairs().items()}
    assert states.pop(key(0, 1))[0] == "not-duplicate"
    assert states.pop(key(2, 3))[0] == "closed"
    assert states == {key(4, 5): ("review", "2")}


async def test_vectors_of_an_encoder_that_was_replaced_are_not_compared(house: VectorHouse) -> None:
    await house.images(1, 2)
    await house.hear(house.told("new", {1: vector(1), 2: vector(2)}, "2", 5))
    late = house.told("late", {1: vector(1), 2: vector(1)}, minute=4)
    await house.hear(late)
    assert house.pairs() == {}


async def test_an_encoder_that_comes_back_finds_all_its_pairs_again(house: VectorHouse) -> None:
    await house.images(1, 2, 3)
    await house.hear(house.told("old", {1: vector(1), 2: vector(1, 0.9)}))
    await house.hear(house.told("new", {1: vector(1), 2: vector(2)}, "2", 5))
    assert {state for state, *_ in house.pairs().values()} == {"closed"}
    await house.hear(house.told("again", {3: vector(1, 0.95)}, minute=9))
    assert {pair for pair, (state, *_) in house.pairs().items() if state == "review"} == {
        key(1, 2), key(1, 3), key(2, 3),
    }  # fmt: skip


async def test_photos_of_one_moment_need_no_person(house: VectorHouse) -> None:
    await house.images(1, 2, moment=Moment("guest", "visit", None))
    await house.hear(house.told("run", {1: vector(1), 2: vector(1, 0.95)}))
    assert house.pairs()[key(1, 2)][0] == "burst"


async def test_a_file_brings_people_no_more_than_the_setting_says(weed: S3Server, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/few.sqlite"
    house = VectorHouse(weed, url, tmp_path / "work", {"vector_review_per_1000": 0})
    await house.images(*range(30))
    await house.hear(house.told("run", {n: vector(n // 6, 1 - n / 1000) for n in range(30)}))
    found = house.pairs()
    assert len(found) == 20  # the least; 75 pairs are alike
    assert min(similarity or 0 for _, similarity, _ in found.values()) > 0.99
    house.close()


async def test_verdicts_make_the_pairs_of_their_class_automatic(small: VectorHouse) -> None:
    judged, same, plain = range(800), (850, 851), (900, 901)
    await small.images(*judged, *same)
    await small.images(*plain, flat=True)
    await small.labels("fox", *judged, *same, *plain)
    await small.hear(small.told("judged", {n: chance_vector(n // 2) for n in judged}))
    assert {state for state, *_ in small.pairs().values()} == {"review"}
    await small.says(*((n, n + 1) for n in judged[::2]), duplicate=True)
    await small.hear(small.told("later", {n: chance_vector(n // 2) for n in (*same, *plain)}, minute=1))
    with small.service.database.engine.connect() as connection:
        learnt = {(one.detector, one.class_name): one for one in stored_thresholds(connection)}
    foxes = learnt[ENCODER, "fox"]
    assert foxes.automatic == pytest.approx(1.0, abs=0.001)
    assert (foxes.duplicates, foxes.not_duplicates, foxes.precision, foxes.recall) == (400, 0, 1.0, 1.0)
    states = small.pairs()
    assert states[key(*same)][0] == "automatic"
    assert states[key(*plain)][0] == "review"  # no hash: there is nothing to see in them


async def test_images_that_dedup_does_not_know_yet_are_waited_for_and_at_last_left_out(
    small: VectorHouse,
) -> None:
    await small.images(1, 2)
    event = small.told("run", {1: vector(1), 2: vector(1, 0.9), 3: vector(1, 0.95)})
    with pytest.raises(ImagesNotYetKnown, match="1 images"):
        await small.hear(event)
    await small.hear(event, attempt=4)
    assert set(small.pairs()) == {key(1, 2)}


async def test_an_unknown_object_is_tried_again_and_stops_no_other_file(small: VectorHouse) -> None:
    await small.images(1, 2)
    event = small.told("run", {1: vector(1), 2: vector(1, 0.9)})
    missing = ObjectRef(bucket=event.vectors.bucket, key="vectors/none", size=1, sha256="0" * 64)
    lost = event.model_copy(update={"run_id": "lost", "vectors": missing})
    with pytest.raises(ObjectMissing):
        await small.hear(lost)
    await small.hear(event)
    assert set(small.pairs()) == {key(1, 2)}


def of_columns(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def rows_of(*rows: list[float]) -> pa.FixedSizeListArray:
    return pa.array(rows, pa.list_(pa.float32(), len(rows[0])))


UNIT = [1.0, *[0.0] * (DIMENSIONS - 1)]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"no parquet at all", "no Parquet file"),
        (of_columns(image_id=[name(1)]), "no column 'vector'"),
        (of_columns(image_id=[name(1)], vector=[[1.0]]), "not a fixed_size_list"),
        (of_columns(image_id=[name(1)], vector=rows_of([2.0, *UNIT[1:]])), "not of length 1"),
        (of_columns(image_id=[name(1)], vector=rows_of([float("nan"), *UNIT[1:]])), "not of length 1"),
        (of_columns(image_id=[name(1)] * 2, vector=rows_of(UNIT, UNIT)), "not sorted"),
        (
            of_columns(image_id=sorted([name(1), name(2)], reverse=True), vector=rows_of(UNIT, UNIT)),
            "not sorted",
        ),
        (of_columns(image_id=[name(1)], vector=rows_of([1.0, 0.0])), "dimensions"),
    ],
)
async def test_a_file_that_is_none_is_dead_and_the_next_one_works(
    small: VectorHouse, data: bytes, told: str
) -> None:
    await small.images(1, 2, 3)
    await small.hear(small.told("good", {1: vector(1)}))
    bad = small.told_of("bad", data, 1)
    with pytest.raises(Unprocessable, match=told):
        await small.hear(bad, attempt=4)
    await small.hear(small.told("next", {2: vector(1, 0.9)}, minute=1))
    assert set(small.pairs()) == {key(1, 2)}


async def test_the_folder_is_a_cache_of_the_files_that_count(small: VectorHouse) -> None:
    await small.images(1, 2, 3)
    folder = small.work_dir / "vectors"
    await small.hear(small.told("old", {1: vector(1)}))
    await small.hear(small.told("new", {1: vector(1)}, "2", 1))
    (folder / ".half-made").mkdir()
    await small.hear(small.told("newer", {2: vector(1, 0.9)}, "2", 2))
    assert len(list(folder.iterdir())) == 2
    for entry in folder.glob("*/*"):
        entry.unlink()
    for entry in folder.iterdir():
        entry.rmdir()
    await small.hear(small.told("newest", {3: vector(1, 0.88)}, "2", 3))
    assert key(1, 3) in small.pairs()


async def test_an_empty_file_brings_nothing(small: VectorHouse) -> None:
    await small.images(1)
    await small.hear(small.told("empty", {}))
    await small.hear(small.told("next", {1: vector(1)}, minute=1))
    assert small.pairs() == {}
