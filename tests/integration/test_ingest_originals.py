"""A library that does not keep the files as uploaded loses none that is still needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import ImageUploaded
from services.ingest.intake import Intake
from services.ingest.store import uploads as rows
from services.runtime.objectstore import ObjectMissing, ObjectStore
from tests.support.ingest_house import House
from tests.support.pictures import encoded, noise
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration


def fresh() -> bytes:
    """A picture that no other test has put into the shared server."""
    return encoded(noise(20, 15, uuid.uuid4().int % 2**63))


def frugal(house: House) -> Intake:
    return Intake(
        house.database, house.store, house.threads, house.decoder, house.settings.max_file_bytes,
        keep_originals=False,
    )  # fmt: skip


def kept(house: House, upload: ImageUploaded) -> bool:
    return house.store.exists(upload.object.bucket, upload.object.key)


@pytest.fixture
def house(tmp_path: Path, object_store: ObjectStore) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work", object_store)
    yield made
    made.close()


async def test_originals_are_kept_unless_told_otherwise(house: House) -> None:
    upload = house.put("upload-0001", fresh())
    await house.take(upload)
    assert kept(house, upload)


async def test_the_original_of_an_accepted_image_is_removed_and_its_pictures_stay(house: House) -> None:
    upload = house.put("upload-0001", fresh())
    await frugal(house).take([upload])
    assert not kept(house, upload)
    [row] = await house.rows()
    for part in ("normalised", "thumbnail"):
        assert house.store.exists(row[part]["bucket"], row[part]["key"])


async def test_a_repeated_original_is_removed_again(house: House) -> None:
    data = fresh()
    intake = frugal(house)
    await intake.take([house.put("upload-0001", data)])
    again = house.put("upload-0002", data)
    await intake.take([again])
    assert not kept(house, again)
    assert await house.outcomes() == {"upload-0001": "accepted", "upload-0002": "repeated"}


async def test_a_rejected_file_stays_for_a_person_to_look_at(house: House) -> None:
    upload = house.put("upload-0001", b"Dear diary " + uuid.uuid4().bytes)
    await frugal(house).take([upload])
    assert kept(house, upload)


async def test_a_crash_after_the_commit_is_made_good_by_the_redelivery(house: House) -> None:
    upload = house.put("upload-0001", fresh())
    house.database.after = frozenset({1})
    intake = frugal(house)
    with pytest.raises(ConnectionError):
        await intake.take([upload])
    assert kept(house, upload)
    await intake.take([upload])
    await intake.take([upload])
    assert not kept(house, upload)
    assert await house.outcomes() == {"upload-0001": "accepted"}


async def test_what_another_upload_waits_for_stays_until_that_is_settled(house: House) -> None:
    data = fresh()
    first, second = house.put("upload-0001", data), house.put("upload-0002", data)
    await house.database.run(lambda unit: rows.add_uploads(unit.connection, [second]))
    intake = frugal(house)
    await intake.take([first])
    assert kept(house, first)
    await intake.take([second])
    assert not kept(house, second)


DELIVERIES = st.lists(st.sampled_from([0, 1, 2, 3, 4]), min_size=1, max_size=8)


@settings(max_examples=8)
@given(order=DELIVERIES, crash=st.frozensets(st.integers(1, 4), max_size=2))
async def test_any_order_of_deliveries_and_crashes_settles_every_upload(
    weed: S3Server, order: list[int], crash: frozenset[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("house")
    house = House(f"sqlite:///{folder}/ingest.sqlite", folder, weed.store())
    try:
        one, other = fresh(), fresh()
        files = [one, other, one, other + b"\0", b"no picture " + uuid.uuid4().bytes]
        uploads = [house.put(f"upload-{number:04d}", data) for number, data in enumerate(files)]
        house.database.after = crash
        intake = frugal(house)
        for number in [*order, *range(5)] * 2:
            try:
                await intake.take([uploads[number]])
            except ConnectionError:
                continue
            except ObjectMissing as error:
                raise AssertionError(f"upload {number} needed what was removed") from error
        assert len(await house.outcomes()) == len(uploads)
        assert None not in (await house.outcomes()).values()
        assert [kept(house, item) for item in (uploads[0], uploads[2], uploads[4])] == [False, False, True]
    finally:
        house.close()
